/* Tells values that hold none of the words which rules need, without a scan.

   Letters of either case are alike, and so are + and space: a yes may be wrong, and a no never is. */
#include "native.h"

#include <stdlib.h>

/* Places for beginnings; at most half of them are taken. */
#define HEADS 1024
/* Words that only count at a value's end. */
#define ENDINGS 64

struct Words {
	uint8_t symbol[256]; /* letters in either case, + and space alike: a backend may read them so */
	uint64_t pairs[64];  /* the first two */
	uint64_t whole[64];  /* words of two */
	uint64_t alone[64];  /* words of two that only count by themselves */
	uint64_t ends[64];   /* the last two of words that only count at a value's end */
	int endings;
	uint32_t heads[HEADS]; /* the first three or four, hashed; never full */
	Span texts[HEADS];     /* the whole word of a head, in `text` */
	Span ending[ENDINGS];
	uint32_t used;
	uint8_t text[]; /* as symbols */
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

/* Whether the bytes at `at` are a word's, of which `size` are there. */
static int is_text(const Words *words, Span text, const uint8_t *at, size_t size)
{
	if (text.end - text.start > size)
		return 0;
	for (uint32_t number = text.start; number < text.end; number++)
		if (words->text[number] != words->symbol[*at++])
			return 0;
	return 1;
}

/* Whether a word with that head stands at `at`. */
static int begins(const Words *words, uint32_t head, const uint8_t *at, size_t size)
{
	for (uint32_t place = head_place(head); words->heads[place]; place = (place + 1) % HEADS)
		if (words->heads[place] == head && is_text(words, words->texts[place], at, size))
			return 1;
	return 0;
}

/* Keeps a word's symbols. */
static Span kept(Words *words, const uint8_t *word, Py_ssize_t size)
{
	Span text = {words->used, words->used + (uint32_t)size};
	for (Py_ssize_t number = 0; number < size; number++)
		words->text[words->used++] = words->symbol[word[number]];
	return text;
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

/* Bytes of all words of a list; -1 with an exception set. */
static Py_ssize_t bytes_of(PyObject *list)
{
	Py_ssize_t size, all = 0;
	for (Py_ssize_t number = 0; number < PyList_Size(list); number++) {
		if (word_from(list, number, &size) == NULL)
			return -1;
		all += size;
	}
	return all;
}

static void mark(const Words *words, const uint8_t *two, uint64_t pairs[64])
{
	pairs[words->symbol[two[0]]] |= 1ull << words->symbol[two[1]];
}

/* Words that count anywhere; `alone`: words of two that only count by themselves; `endings`: words that only count at a
   value's end. NULL with an exception set. */
Words *words_from(PyObject *list, PyObject *alone, PyObject *endings)
{
	Py_ssize_t size, some = bytes_of(list), more = bytes_of(endings), rest = bytes_of(alone);
	if (some < 0 || more < 0 || rest < 0)
		return NULL;
	if (PyList_Size(list) > HEADS / 2 || PyList_Size(endings) > ENDINGS || some + more > MAX_MESSAGE) {
		PyErr_SetString(PyExc_ValueError, "too many words");
		return NULL;
	}
	Words *words = calloc(1, sizeof(Words) + (size_t)(some + more));
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
	for (Py_ssize_t number = 0; number < PyList_Size(alone); number++)
		mark(words, word_from(alone, number, &size), words->alone);
	for (Py_ssize_t number = 0; number < PyList_Size(endings); number++) {
		const uint8_t *word = word_from(endings, number, &size);
		mark(words, word + size - 2, words->ends);
		words->ending[words->endings++] = kept(words, word, size);
	}
	for (Py_ssize_t number = 0; number < PyList_Size(list); number++) {
		const uint8_t *word = word_from(list, number, &size);
		mark(words, word, size == 2 ? words->whole : words->pairs);
		if (size == 2)
			continue;
		uint32_t head = head_of(words, word, size == 3 ? 3 : 4), place = head_place(head);
		while (words->heads[place])
			place = (place + 1) % HEADS;
		words->heads[place] = head;
		words->texts[place] = kept(words, word, size);
	}
	return words;
}

/* Whether a value ends in a word that counts there. */
static int ends(const Words *words, const uint8_t *start, const uint8_t *end)
{
	for (int number = 0; number < words->endings; number++) {
		uint32_t size = words->ending[number].end - words->ending[number].start;
		if ((size_t)(end - start) >= size && is_text(words, words->ending[number], end - size, size))
			return 1;
	}
	return 0;
}

/* As a regular expression's \w. */
static int is_word(uint8_t byte)
{
	return (byte >= '0' && byte <= '9') || ((byte | 32) >= 'a' && (byte | 32) <= 'z') || byte == '_';
}

/* Whether a word may be in one of the values. */
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
				size_t left = (size_t)(end - at);
				if (left >= 3 && begins(words, head_of(words, at, 3), at, left))
					return 1;
				if (left >= 4 && begins(words, head_of(words, at, 4), at, left))
					return 1;
			}
			first = second;
		}
		if (end - raw >= 2 && words->ends[words->symbol[end[-2]]] >> first & 1 &&
		    ends(words, raw + values[number].start, end))
			return 1;
	}
	return 0;
}
