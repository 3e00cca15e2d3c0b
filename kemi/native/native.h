/* What the parts of sipsieve._native share. */
#ifndef SIPSIEVE_NATIVE_H
#define SIPSIEVE_NATIVE_H

/* One build serves every Python from 3.11 on. */
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <string.h>

/* Methods that can have a lane, and counters of requests: invite, register, other, dialog. */
#define MOST_METHODS 32
#define MOST_COUNTERS 4

/* The largest datagram. */
#define MAX_MESSAGE 65535

/* Bytes start..end of a message; empty where there is nothing. */
typedef struct {
	uint32_t start, end;
} Span;

/* A piece of a record: text as it stands, or a span of the message where text is NULL. */
typedef struct {
	char *text;
	Span span;
} Piece;

/* What passing a message of a shape takes; the same for all of that shape. See fastpath.py, Lane. */
typedef struct {
	int method, counter;
	int is_reply, remembers, tagged, credentials;
	Span call_id, from_tag, to_tag, number, nonce;
	int pieces;
	Piece *record;
	uint32_t record_bytes;
} Lane;

/* Where messages of one length are constant, and where not. */
typedef struct Layout {
	struct Layout *next;
	uint32_t length, head_end, text_bytes;
	int plus;
	int constants, holes, values;
	/* How many shapes it has: with the last of them it goes. */
	int shapes;
	Span spans[]; /* constants, then holes with the CSeq number first, then values */
} Layout;

/* A shape: a layout, and what is constant in it. */
typedef struct Known {
	struct Known *next;
	Layout *layout;
	uint64_t hash;
	uint8_t *raw;
	PyObject *shape;
	Lane *lane;
} Known;

typedef struct KnownShapes KnownShapes;
typedef struct Counts Counts;
typedef struct Words Words;

/* What hashes of foreign bytes are keyed with: the same in all processes of a server. */
typedef struct {
	uint64_t one, other;
} Secret;

/* The shape of a message; NULL for one that has to be looked at. Never leaves an exception. */
const Known *known_find(KnownShapes *self, const uint8_t *raw, size_t length);

/* Words that count anywhere; `alone`: words of two that only count by themselves; `endings`: words that only count at a
   value's end. NULL with an exception set; freed by free. */
Words *words_from(PyObject *list, PyObject *alone, PyObject *endings);

/* Whether a word may be in one of the values. False says that none is. */
int words_may_be_in(const Words *words, const Span *values, int count, const uint8_t *raw);

/* Raises a counter and returns it; 0 where no place is left. `window` is the running one. */
long counts_raise(Counts *self, uint64_t identity, uint64_t window);

/* How often a message was seen within a transaction's life, this time included. */
int copies_of(const Py_buffer *table, uint64_t identity, uint64_t seconds);
PyObject *copies(PyObject *module, PyObject *args);

/* The types, as new references; and whether an object is of one. */
PyObject *known_type(void);
PyObject *counts_type(void);
PyObject *fastpath_type(void);
int known_check(PyObject *object);
int counts_check(PyObject *object);

/* A secret from 16 bytes. False with an exception set. */
int secret_from(PyObject *bytes, Secret *secret);

/* Four accumulators, so that one multiplication need not wait for the other. */
typedef struct {
	uint64_t lane[4];
} Hash;

static inline uint64_t fold(uint64_t one, uint64_t other)
{
	__uint128_t product = (__uint128_t)one * other;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t word_at(const uint8_t *at)
{
	uint64_t value;
	memcpy(&value, at, 8);
	return value;
}

static inline Hash hash_begin(const Secret *secret, uint64_t seed)
{
	return (Hash){{secret->one ^ seed, secret->one + 1, secret->one + 2, secret->one + 3}};
}

/* Takes bytes in. Where they end is no part of the hash: callers say it by the seed. */
static inline void hash_take(Hash *hash, const Secret *secret, const uint8_t *at, size_t size)
{
	uint64_t *lane = hash->lane;
	for (; size >= 64; at += 64, size -= 64)
		for (int number = 0; number < 4; number++)
			lane[number] = fold(word_at(at + 16 * number) ^ secret->other,
					    word_at(at + 16 * number + 8) ^ lane[number]);
	for (; size >= 16; at += 16, size -= 16)
		lane[0] = fold(word_at(at) ^ secret->other, word_at(at + 8) ^ lane[0]);
	if (size >= 8) {
		lane[1] = fold(word_at(at) ^ secret->other, lane[1]);
		at += 8;
		size -= 8;
	}
	if (size) {
		uint64_t rest = 0;
		memcpy(&rest, at, size);
		lane[2] = fold(rest ^ secret->other, lane[2] + size);
	}
}

static inline uint64_t hash_end(const Hash *hash, const Secret *secret)
{
	return fold(fold(hash->lane[0] ^ secret->other, hash->lane[1]) ^ secret->one,
		    fold(hash->lane[2] ^ secret->other, hash->lane[3]));
}

/* What tells a message from others. */
static inline uint64_t identity_of(const Secret *secret, const uint8_t *raw, size_t size)
{
	Hash hash = hash_begin(secret, size);
	hash_take(&hash, secret, raw, size);
	return hash_end(&hash, secret);
}

/* A span from a Python pair within 0..limit. False with an exception set. */
int span_from(PyObject *pair, Py_ssize_t limit, Span *span);

#endif
