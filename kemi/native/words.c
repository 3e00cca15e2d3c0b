/* Tells most values that hold none of the words which rules need, without a scan.

   Only how words begin is looked at, so a yes may be wrong and a no never is. */
#include "native.h"

#include <stdlib.h>

/* Places for beginnings; at most half of them are taken. */
#define HEADS 1024

struct Words {
	uint8_t symbol[256]; /* letters in either case, + and space alike: a backend may read them so */
	uint64_t pairs[64];  /* the first two */
	uint64_t whole[64];  /* words of two */
	uint64_t alone[64];  /* words of two that only count by themselves */
	uint64_t ends[64];   /* the last two of words that only count at a value's end */
	int count;
	uint32_t heads[HEADS]; /* the first three or four, hashed; never full */
};

static uint32_t head_of(const Words *words, const uint8_t *at, int size)
{
	uint32_t head = 0;
	for (int number = 0; number < size; number++)
		head = head << 6 | words->symbol[at[number]];
	/* Never 0, and three are not four. */
	return head << 2 | (uint32_t)(size == 4 ? 2 : 1);
}

static uint32_t head_place(uint32_t head)
{
	return head * 2654435769u >> 22;
}

static int head_known(const Words *words, uint32_t head)
{
	for (uint32_t place = head_place(head); words->heads[place]; place = (place + 1) % HEADS)
		if (words->heads[place] == head)
			return 1;
	return 0;
}

/* A word of two bytes and more. NULL with an exception set. */
static const uint8_t *word_from(PyObject *list, Py_ssize_t number, Py_ssize_t *size)
{
	char *text;
	if (PyBytes_AsStringAndSize(PyList_GetItem(list, number), &text, size) < 0)
		return NULL;
	if (*size < 2) {
		PyErr_SetString(PyExc_ValueError, "a word has two bytes or more");
		return NULL;
	}
	return (const uint8_t *)text;
}

/* Marks two bytes of each word, the first or the last. False with an exception set. */
static int mark_pairs(const Words *words, PyObject *list, int last, uint64_t pairs[64])
{
	Py_ssize_t size;
	for (Py_ssize_t number = 0; number < PyList_Size(list); number++) {
		const uint8_t *word = word_from(list, number, &size);
		if (word == NULL)
			return 0;
		word += last ? size - 2 : 0;
		pairs[words->symbol[word[0]]] |= 1ull << words->symbol[word[1]];
	}
	return 1;
}

/* The beginnings of words; `alone`: words of two that only count by themselves; `endings`: words that only count at a
   value's end. NULL with an exception set. */
Words *words_from(PyObject *list, PyObject *alone, PyObject *endings)
{
	Words *words = calloc(1, sizeof(Words));
	if (words == NULL) {
		PyErr_NoMemory();
		return NULL;
	}
	uint8_t next = 1;
	for (const char *one = "abcdefghijklmnopqrstuvwxyz0123456789.-_@+"; *one; one++, next++) {
		words->symbol[(uint8_t)*one] = next;
		if (*one >= 'a' && *one <= 'z')
			words->symbol[(uint8_t)*one - 32] = next;
	}
	words->symbol[' '] = words->symbol['+'];
	Py_ssize_t size;
	if (!mark_pairs(words, alone, 0, words->alone) || !mark_pairs(words, endings, 1, words->ends))
		goto failed;
	for (Py_ssize_t number = 0; number < PyList_Size(list); number++) {
		const uint8_t *word = word_from(list, number, &size);
		if (word == NULL)
			goto failed;
		uint64_t *pairs = size == 2 ? words->whole : words->pairs;
		pairs[words->symbol[word[0]]] |= 1ull << words->symbol[word[1]];
		if (size == 2)
			continue;
		uint32_t head = head_of(words, word, size == 3 ? 3 : 4);
		if (head_known(words, head))
			continue;
		if (++words->count > HEADS / 2) {
			PyErr_SetString(PyExc_ValueError, "too many words");
			goto failed;
		}
		uint32_t place = head_place(head);
		while (words->heads[place])
			place = (place + 1) % HEADS;
		words->heads[place] = head;
	}
	return words;
failed:
	free(words);
	return NULL;
}

/* As a regular expression's \w. */
static int is_word(uint8_t byte)
{
	return (byte >= '0' && byte <= '9') || ((byte | 32) >= 'a' && (byte | 32) <= 'z') || byte == '_';
}

/* Whether a value begins a word somewhere. False says that no word is in any of them. */
int words_may_be_in(const Words *words, const Span *values, int count, const uint8_t *raw)
{
	for (int number = 0; number < count; number++) {
		const uint8_t *at = raw + values[number].start, *end = raw + values[number].end;
		if (at == end)
			continue;
		unsigned first = words->symbol[*at];
		for (; at + 1 < end; at++) {
			unsigned second = words->symbol[at[1]];
			if ((words->pairs[first] | words->whole[first] | words->alone[first]) >> second & 1) {
				if (words->whole[first] >> second & 1)
					return 1;
				if (words->alone[first] >> second & 1 &&
				    (at == raw + values[number].start || !is_word(at[-1])) &&
				    (end - at == 2 || !is_word(at[2])))
					return 1;
				if (end - at >= 3 && head_known(words, head_of(words, at, 3)))
					return 1;
				if (end - at >= 4 && head_known(words, head_of(words, at, 4)))
					return 1;
			}
			first = second;
		}
		if (end - raw >= 2 && words->ends[words->symbol[end[-2]]] >> first & 1)
			return 1;
	}
	return 0;
}
