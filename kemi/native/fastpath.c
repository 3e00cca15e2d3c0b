/* Passes an ordinary message of a known shape without the interpreter.

   For each message the same as Engine.decide, Ledger.tally and Recorder.decision do in Python, as long as
   nothing is odd: known shape, known sender, a count below half of its limit. Whatever else it is, the
   message is handed to Python before anything was counted or written, and once it was counted, with the
   count. See sipsieve/fastpath.py for what the plan holds. */
#include "native.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COUNTERS MOST_COUNTERS
#define METHODS MOST_METHODS
/* Places of one dialog, and how long it is remembered (answered.py). */
#define WAYS 8
/* Bodies' lines of text that are known to be plain. */
#define MOST_PLAIN 4096
/* Bytes of the longest record that is made here. */
#define RECORD 8192

/* Who sends: what is the same for all messages of an address, port and transport. */
typedef struct {
	PyObject_HEAD
	PyObject *source, *key, *cell;
	int limited, connected;
	uint64_t salt;
	/* Counts up to these need no second look; -1: not counted. */
	long quiet[COUNTERS];
	long long window[COUNTERS];
	PyObject *names[COUNTERS];
	/* Where the ledger counts it, by method, while its epoch lasts. */
	uint64_t epoch;
	uint32_t slots[METHODS];
	/* Where the scoreboard counts its records, by method; 0: not asked yet. */
	uint32_t cells[METHODS];
	char *piece;
	Py_ssize_t piece_bytes;
} Sender;

typedef struct {
	PyObject_HEAD
	KnownShapes *known;
	Counts *counts;
	Secret secret;
	PyObject *slow, *get, *opened, *over, *tally, *write, *cell, *second, *took, *failed, *in_transaction, *body_is_plain;
	PyObject *mb, *allow, *methods, *counters, *one, *senders, *plain;
	Py_buffer head, crowded, copies, marks, answered, ledger, clock, sequence, journal, torn, board, passed;
	long written;
	int sdp, interval, life, retransmissions, nonce_life;
	long every, most_senders, looked;
	uint64_t number;
	char *fixed, *prefix;
	Py_ssize_t fixed_bytes, prefix_bytes;
	long long whole;
	char stamp[32];
} FastPath;

static PyTypeObject *SenderType;

/* An object that the plan holds under a name; a new reference. */
static PyObject *of(PyObject *plan, const char *name)
{
	return PyObject_GetAttrString(plan, name);
}

static int number_of(PyObject *plan, const char *name, long *value)
{
	PyObject *given = of(plan, name);
	if (given == NULL)
		return 0;
	*value = PyLong_AsLong(given);
	Py_DECREF(given);
	return *value != -1 || !PyErr_Occurred();
}

static int buffer_of(PyObject *plan, const char *name, Py_ssize_t least, Py_buffer *buffer)
{
	PyObject *given = of(plan, name);
	if (given == NULL)
		return 0;
	int done = PyObject_GetBuffer(given, buffer, PyBUF_WRITABLE);
	Py_DECREF(given);
	if (done < 0)
		return 0;
	if (buffer->len < least || (uintptr_t)buffer->buf % 8) {
		PyErr_Format(PyExc_ValueError, "%s: too small, or not aligned", name);
		return 0;
	}
	return 1;
}

static int text_of(PyObject *plan, const char *name, char **text, Py_ssize_t *size)
{
	PyObject *given = of(plan, name);
	char *bytes;
	int done = given != NULL && PyBytes_AsStringAndSize(given, &bytes, size) == 0;
	if (done && (*text = malloc((size_t)*size + 1)) == NULL) {
		PyErr_NoMemory();
		done = 0;
	}
	if (done)
		memcpy(*text, bytes, (size_t)*size);
	Py_XDECREF(given);
	return done;
}

/* Tables in shared memory */

static int knows_dialog(FastPath *self, uint64_t identity, double now)
{
	const uint64_t *words = self->answered.buf;
	uint64_t first = identity % (uint64_t)(self->answered.len / (16 * WAYS)) * 2 * WAYS;
	for (uint64_t place = first; place < first + 2 * WAYS; place += 2)
		if (words[place] == identity && (long long)now - (long long)words[place + 1] <= self->life)
			return 1;
	return 0;
}

static void remember_dialog(FastPath *self, uint64_t identity, double now)
{
	uint64_t *words = self->answered.buf;
	uint64_t first = identity % (uint64_t)(self->answered.len / (16 * WAYS)) * 2 * WAYS, oldest = first;
	for (uint64_t place = first; place < first + 2 * WAYS; place += 2) {
		if (words[place] == identity || !words[place]) {
			oldest = place;
			break;
		}
		if (words[place + 1] < words[oldest + 1])
			oldest = place;
	}
	words[oldest] = identity;
	words[oldest + 1] = (uint64_t)now;
}

/* A mark is two words: the identity; seconds (lower half) and value (upper half), little-endian as marks.py packs them. */
static int marked(FastPath *self, uint64_t identity, double now, int life)
{
	const uint64_t *words = self->marks.buf;
	uint64_t place = identity % (uint64_t)(self->marks.len / 16) * 2;
	long long age = (long long)((uint64_t)now & 0xFFFFFFFF) - (long long)(words[place + 1] & 0xFFFFFFFF);
	return words[place] == identity && age >= 0 && age <= life && words[place + 1] >> 32;
}

static void mark(FastPath *self, uint64_t identity, uint64_t value, double now)
{
	uint64_t *words = self->marks.buf;
	uint64_t place = identity % (uint64_t)(self->marks.len / 16) * 2;
	words[place] = identity;
	words[place + 1] = value << 32 | ((uint64_t)now & 0xFFFFFFFF);
}

/* Identities: Python's keyed hashes, so that both ways of a message mean the same */

static PyObject *cut(const uint8_t *raw, Span span)
{
	return PyBytes_FromStringAndSize((const char *)raw + span.start, span.end - span.start);
}

/* The hash of a tuple of these, which are released. False with an exception set. */
static int hash_of(Py_ssize_t count, PyObject *items[], uint64_t *identity)
{
	PyObject *tuple = PyTuple_New(count);
	int whole = tuple != NULL;
	for (Py_ssize_t number = 0; number < count; number++) {
		whole = whole && items[number] != NULL;
		if (tuple == NULL)
			Py_XDECREF(items[number]);
		else if (items[number] != NULL)
			PyTuple_SetItem(tuple, number, items[number]);
	}
	Py_hash_t hash = whole ? PyObject_Hash(tuple) : -1;
	Py_XDECREF(tuple);
	*identity = (uint64_t)hash;
	return hash != -1;
}

/* As dialog.key. */
static int dialog_of(const Lane *lane, const uint8_t *raw, uint64_t *identity)
{
	Span one = lane->from_tag, other = lane->to_tag;
	size_t some = one.end - one.start, more = other.end - other.start;
	int order = memcmp(raw + one.start, raw + other.start, some < more ? some : more);
	int swapped = order > 0 || (order == 0 && some > more);
	PyObject *items[] = {cut(raw, lane->call_id), cut(raw, swapped ? other : one), cut(raw, swapped ? one : other)};
	return hash_of(3, items, identity);
}

/* As challenge.offered. */
static int offered(FastPath *self, const Lane *lane, const Sender *sender, const uint8_t *raw, double now)
{
	uint64_t identity;
	int proven = sender->connected;
	if (!proven && lane->nonce.end) {
		PyObject *items[] = {cut(raw, lane->nonce), Py_NewRef(sender->key)};
		if (!hash_of(2, items, &identity))
			return 0;
		proven = marked(self, identity, now, self->nonce_life);
	}
	PyObject *items[] = {cut(raw, lane->call_id), cut(raw, lane->number)};
	if (!hash_of(2, items, &identity))
		return 0;
	mark(self, identity, proven ? 2 : 1, now);
	return 1;
}

static int is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

/* A body's lines of text, with each number that stands by itself as 0: which one it is decides nothing, and the
   session's is another in every call. -1: too much text. */
static int text_lines(const uint8_t *body, size_t length, char *lines, int most)
{
	int size = 0;
	for (size_t at = 0; at < length;) {
		const uint8_t *end = memchr(body + at, '\n', length - at);
		size_t next = end == NULL ? length : (size_t)(end - body) + 1;
		if (next - at > 2 && body[at + 1] == '=' && memchr("osiueOSIUE", body[at], 10) != NULL) {
			if ((size_t)(most - size) < next - at)
				return -1;
			for (size_t from = at; from < next;) {
				size_t after = from;
				while (after < next && body[from - (from > at)] == ' ' && is_digit(body[after]))
					after++;
				if (after > from && (after == next || memchr(" \r\n", body[after], 3) != NULL)) {
					lines[size++] = '0';
					from = after;
				} else {
					lines[size++] = (char)body[from++];
				}
			}
		}
		at = next;
	}
	return size;
}

/* Whether a body has nothing that wants a look; what was found plain once is not looked at again. */
static int passes_body(FastPath *self, const uint8_t *body, size_t length)
{
	char lines[512];
	int size = text_lines(body, length, lines, (int)sizeof lines), plain = 0;
	if (size == 0)
		return 1;
	if (size < 0)
		return 0;
	PyObject *known = PyBytes_FromStringAndSize(lines, size), *whole = NULL, *answer = NULL;
	if (known == NULL)
		goto done;
	plain = PySet_Contains(self->plain, known);
	if (plain)
		goto done;
	whole = PyBytes_FromStringAndSize((const char *)body, (Py_ssize_t)length);
	answer = whole == NULL ? NULL : PyObject_CallFunctionObjArgs(self->body_is_plain, whole, NULL);
	plain = answer == NULL ? -1 : PyObject_IsTrue(answer);
	if (plain == 1 && ((PySet_Size(self->plain) >= MOST_PLAIN && PySet_Clear(self->plain) < 0) ||
			   PySet_Add(self->plain, known) < 0))
		plain = -1;
done:
	Py_XDECREF(known);
	Py_XDECREF(whole);
	Py_XDECREF(answer);
	if (plain < 0)
		PyErr_Clear();
	return plain == 1;
}

/* Counts: how many there are now, 0 where there is no room for a counter; -1 with an exception set. */
static long count(FastPath *self, Sender *sender, int counter, long long window)
{
	if (sender->window[counter] != window || sender->names[counter] == NULL) {
		PyObject *name = PyUnicode_FromFormat("%U:%U:%lld", sender->cell, PyTuple_GetItem(self->counters, counter),
						      window);
		if (name == NULL)
			return -1;
		Py_XDECREF(sender->names[counter]);
		sender->names[counter] = name;
		sender->window[counter] = window;
	}
	/* A text keeps its hash. */
	Py_hash_t hash = PyObject_Hash(sender->names[counter]);
	return hash == -1 ? -1 : counts_raise(self->counts, (uint64_t)hash, (uint64_t)window);
}

/* Counts a passed message for its summary record. False with an exception set. */
static int tally(FastPath *self, Sender *sender, const Lane *lane, double now)
{
	const double *clock = self->clock.buf;
	uint64_t epoch = ((const uint64_t *)self->clock.buf)[1];
	double left = now - clock[0];
	uint32_t slot = sender->epoch == epoch ? sender->slots[lane->method] : 0;
	if (slot && left < 0 && left >= -self->interval) {
		uint64_t *words = (uint64_t *)((char *)self->ledger.buf + slot);
		words[0]++;
		words[2] = (uint64_t)(now * 1e6);
		return 1;
	}
	PyObject *time = PyFloat_FromDouble(now);
	if (time == NULL)
		return 0;
	PyObject *place = PyObject_CallFunctionObjArgs(self->tally, sender->source,
						       PyTuple_GetItem(self->methods, lane->method), time, NULL);
	Py_DECREF(time);
	if (place == NULL)
		return 0;
	long offset = PyLong_AsLong(place);
	Py_DECREF(place);
	if (offset == -1 && PyErr_Occurred())
		return 0;
	epoch = ((const uint64_t *)self->clock.buf)[1];
	if (sender->epoch != epoch) {
		memset(sender->slots, 0, sizeof sender->slots);
		sender->epoch = epoch;
	}
	if (offset > 0 && offset % 8 == 0 && offset + 24 <= self->ledger.len)
		sender->slots[lane->method] = (uint32_t)offset;
	return 1;
}

static char *put(char *at, const char *text, size_t size)
{
	memcpy(at, text, size);
	return at + size;
}

static char *put_number(char *at, uint64_t value, unsigned base, int width)
{
	char digits[24];
	int size = 0;
	do {
		digits[size++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value || size < width);
	while (size)
		*at++ = digits[--size];
	return at;
}

/* The date and time of a second, as record.py writes it. False with an exception set. */
static int stamp(FastPath *self, long long whole)
{
	if (whole == self->whole)
		return 1;
	PyObject *second = PyLong_FromLongLong(whole), *text = NULL;
	char *bytes;
	Py_ssize_t size;
	if (second != NULL)
		text = PyObject_CallFunctionObjArgs(self->second, second, NULL);
	Py_XDECREF(second);
	int done = text != NULL && PyBytes_AsStringAndSize(text, &bytes, &size) == 0 && size == 19;
	if (done) {
		memcpy(self->stamp, bytes, 19);
		self->whole = whole;
	} else if (!PyErr_Occurred()) {
		PyErr_SetString(PyExc_ValueError, "a second has 19 letters");
	}
	Py_XDECREF(text);
	return done;
}

/* The scoreboard's cell for a sender's records of a method; 0 with an exception set. */
static uint32_t cell_of(FastPath *self, Sender *sender, int method)
{
	if (sender->cells[method])
		return sender->cells[method];
	PyObject *transport = PyObject_GetAttrString(sender->source, "transport"), *place = NULL;
	if (transport != NULL)
		place = PyObject_CallFunctionObjArgs(self->cell, PyTuple_GetItem(self->methods, method), self->allow,
						     transport, NULL);
	Py_XDECREF(transport);
	long cell = place == NULL ? -1 : PyLong_AsLong(place);
	Py_XDECREF(place);
	if (cell <= 0 || (cell + 1) * 8 > self->board.len) {
		if (!PyErr_Occurred())
			PyErr_SetString(PyExc_ValueError, "no such cell");
		return 0;
	}
	return sender->cells[method] = (uint32_t)cell;
}

/* Appends a line to the log, as Journal.append does while nothing is odd: 1, 0 where Python is to do it, -1 with an
   exception set. */
static int write_line(FastPath *self, Sender *sender, int method, const char *line, size_t size, double now)
{
	int64_t *state = self->journal.buf;
	double looked = ((double *)self->journal.buf)[1];
	char *torn = self->torn.buf;
	if (state[0] < 0 || now - looked <= -1 || now - looked >= 1 || *torn)
		return 0;
	uint32_t cell = cell_of(self, sender, method);
	if (!cell)
		return -1;
	ssize_t done = write((int)state[0], line, size);
	if (done != (ssize_t)size) {
		/* Half a line: Python ends it, and writes this one whole. */
		if (done > 0)
			*torn = 1;
		return 0;
	}
	uint64_t *board = self->board.buf;
	state[2]++;
	board[cell]++;
	board[self->written] = (uint64_t)state[2];
	return 1;
}

/* Writes a passed message's own record. False with an exception set. */
static int record(FastPath *self, Sender *sender, const Lane *lane, const uint8_t *raw, int counter, long counted,
		  const struct timespec *wall, double now)
{
	char line[RECORD], *at = line;
	if (!stamp(self, wall->tv_sec))
		return 0;
	at = put(at, "{\"@timestamp\":\"", 15);
	at = put(at, self->stamp, 19);
	*at++ = '.';
	at = put_number(at, (uint64_t)wall->tv_nsec / 1000, 10, 6);
	at = put(at, "Z\",", 3);
	at = put(at, sender->piece, (size_t)sender->piece_bytes);
	at = put(at, self->prefix, (size_t)self->prefix_bytes);
	at = put_number(at, ++*(uint64_t *)self->sequence.buf, 16, 1);
	at = put(at, self->fixed, (size_t)self->fixed_bytes);
	if (counted > 0) {
		Py_ssize_t size;
		const char *name = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(self->counters, counter), &size);
		if (name == NULL)
			return 0;
		*at++ = '"';
		at = put(at, name, (size_t)size);
		at = put(at, "\":", 2);
		at = put_number(at, (uint64_t)counted, 10, 1);
	}
	at = put(at, "},", 2);
	for (int number = 0; number < lane->pieces; number++) {
		const Piece *piece = &lane->record[number];
		const char *text = piece->text != NULL ? piece->text : (const char *)raw + piece->span.start;
		at = put(at, text, piece->span.end - piece->span.start);
	}
	int written = write_line(self, sender, lane->method, line, (size_t)(at - line), now);
	if (written)
		return written > 0;
	PyObject *bytes = PyBytes_FromStringAndSize(line, at - line), *time = PyFloat_FromDouble(now), *done = NULL;
	if (bytes != NULL && time != NULL)
		done = PyObject_CallFunctionObjArgs(self->write, bytes, time, sender->source,
						    PyTuple_GetItem(self->methods, lane->method), NULL);
	Py_XDECREF(bytes);
	Py_XDECREF(time);
	Py_XDECREF(done);
	return done != NULL;
}

/* Hands the exception at hand to Python, which counts and logs it. */
static void report(FastPath *self)
{
	PyObject *type, *error, *trace, *done = NULL;
	PyErr_Fetch(&type, &error, &trace);
	PyErr_NormalizeException(&type, &error, &trace);
	if (error != NULL)
		done = PyObject_CallFunctionObjArgs(self->failed, error, NULL);
	if (done == NULL)
		PyErr_Clear();
	Py_XDECREF(done);
	Py_XDECREF(type);
	Py_XDECREF(error);
	Py_XDECREF(trace);
}

static double seconds(const struct timespec *time)
{
	return (double)time->tv_sec + (double)time->tv_nsec * 1e-9;
}

/* Whether an answer that sets a dialog up is one of ours, as far as can be known. -1 with an exception set. */
static int is_ours(FastPath *self)
{
	PyObject *answer = PyObject_CallFunctionObjArgs(self->in_transaction, NULL);
	if (answer == NULL)
		return -1;
	Py_DECREF(answer);
	return answer != Py_False;
}

/* Tries to pass the message at hand: 1, or 0 where Python is to be asked. `*result` is what Python
   answered that judged the count. Nothing was counted or written where an exception makes it 0, but
   for the copies of a message, whose next one then counts as its retransmission. */
static int passes(FastPath *self, PyObject *where, PyObject **result)
{
	Sender *sender = (Sender *)PyDict_GetItemWithError(self->senders, where);
	if (sender == NULL || *(uint64_t *)self->head.buf != self->number || *(char *)self->crowded.buf)
		return 0;
	PyObject *text = PyObject_CallFunctionObjArgs(self->get, self->mb, NULL);
	if (text == NULL)
		return 0;
	int passed = 0;
	/* What is called may meet other senders, and forget this one. */
	Py_INCREF((PyObject *)sender);
	Py_ssize_t length;
	const uint8_t *raw = PyUnicode_Check(text) ? (const uint8_t *)PyUnicode_AsUTF8AndSize(text, &length) : NULL;
	const Known *known = raw == NULL ? NULL : known_find(self->known, raw, (size_t)length);
	const Lane *lane = known == NULL ? NULL : known->lane;
	if (lane == NULL)
		goto done;
	long every = self->every;
	if (every && (!lane->pieces || !sender->piece_bytes || lane->record_bytes + (size_t)sender->piece_bytes + (size_t)self->prefix_bytes +
							(size_t)self->fixed_bytes + 256 > RECORD))
		goto done;
	uint32_t head_end = known->layout->head_end;
	if (self->sdp && (size_t)length > head_end && !passes_body(self, raw + head_end, (size_t)length - head_end))
		goto done;
	struct timespec wall, steady, later;
	clock_gettime(CLOCK_REALTIME, &wall);
	/* To the second is enough, and to the tick is cheaper. */
	clock_gettime(CLOCK_MONOTONIC_COARSE, &steady);
	double now = seconds(&wall), time = seconds(&steady);
	uint64_t identity;
	int counter = -1;
	long counted = 0;
	if (lane->is_reply) {
		if (lane->remembers) {
			int ours = is_ours(self);
			if (ours < 0 || (ours && !dialog_of(lane, raw, &identity)))
				goto done;
			if (ours)
				remember_dialog(self, identity, time);
		}
	} else if (sender->limited) {
		counter = lane->counter;
		if (lane->tagged) {
			if (!dialog_of(lane, raw, &identity))
				goto done;
			if (counter >= 0 && knows_dialog(self, identity, time))
				counter = COUNTERS - 1;
		}
		if (lane->credentials && !offered(self, lane, sender, raw, time))
			goto done;
		if (counter >= 0 && sender->quiet[counter] < 0)
			counter = -1;
	} else {
		counter = -1;
	}
	if (!lane->is_reply && counter >= 0) {
		identity = identity_of(&self->secret, raw, (size_t)length);
		int copies = copies_of(&self->copies, identity ^ sender->salt, (uint64_t)time);
		if (copies == 1 || copies > self->retransmissions) {
			counted = count(self, sender, counter, (long long)time / 60);
			if (counted < 0)
				goto done;
			if (counted == 1) {
				PyObject *noted = PyObject_CallFunctionObjArgs(self->opened, NULL);
				if (noted == NULL)
					report(self);
				Py_XDECREF(noted);
			}
			/* 0: Python knows what becomes of those that find no room. */
			if (counted > sender->quiet[counter] || !counted) {
				PyObject *value = PyLong_FromLong(counted), *when = PyFloat_FromDouble(time);
				if (value != NULL && when != NULL)
					*result = PyObject_CallFunctionObjArgs(
						self->over, where, known->shape,
						PyTuple_GetItem(self->counters, counter), value, when, NULL);
				Py_XDECREF(value);
				Py_XDECREF(when);
				/* Counted, so it must not be counted again: without an answer it is an error, not a miss. */
				passed = 1;
				goto done;
			}
		}
	}
	uint64_t number = ++*(uint64_t *)self->passed.buf;
	if (every && number % (uint64_t)every == 0)
		passed = record(self, sender, lane, raw, counter, counted, &wall, now);
	else
		passed = tally(self, sender, lane, now);
	if (!(number & 63)) {
		clock_gettime(CLOCK_REALTIME, &later);
		PyObject *took = PyFloat_FromDouble(seconds(&later) - now);
		PyObject *noted = took == NULL ? NULL : PyObject_CallFunctionObjArgs(self->took, took, NULL);
		Py_XDECREF(took);
		Py_XDECREF(noted);
	}
	/* Decided it is, recorded or not; what went wrong is reported like any failure of the guard. */
	if (!passed || PyErr_Occurred())
		report(self);
	passed = 1;
done:
	Py_DECREF((PyObject *)sender);
	Py_DECREF(text);
	return passed;
}

static PyObject *message(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
	FastPath *self = (FastPath *)object;
	Py_ssize_t named = names == NULL ? 0 : PyTuple_Size(names);
	if (named) {
		/* A host that calls by name: Python sorts that out. */
		PyObject *positional = PyTuple_New(count), *rest = PyDict_New(), *result = NULL;
		int whole = positional != NULL && rest != NULL;
		for (Py_ssize_t number = 0; whole && number < count; number++)
			whole = PyTuple_SetItem(positional, number, Py_NewRef(args[number])) == 0;
		for (Py_ssize_t number = 0; whole && number < named; number++)
			whole = PyDict_SetItem(rest, PyTuple_GetItem(names, number), args[count + number]) == 0;
		if (whole)
			result = PyObject_Call(self->slow, positional, rest);
		Py_XDECREF(positional);
		Py_XDECREF(rest);
		return result;
	}
	/* With an exception pending from the host's last call, Python settles that first. */
	if (count == 2 && !PyErr_Occurred()) {
		PyObject *result = NULL;
		if (passes(self, args[1], &result)) {
			if (result != NULL)
				return result;
			if (!PyErr_Occurred())
				return Py_NewRef(self->one);
			return NULL;
		}
		PyErr_Clear();
	}
	self->looked++;
	if (count == 1)
		return PyObject_CallFunctionObjArgs(self->slow, args[0], NULL);
	if (count == 2)
		return PyObject_CallFunctionObjArgs(self->slow, args[0], args[1], NULL);
	PyErr_SetString(PyExc_TypeError, "message(msg, where)");
	return NULL;
}

static PyObject *meet(PyObject *object, PyObject *args)
{
	FastPath *self = (FastPath *)object;
	PyObject *where, *source, *key, *cell, *piece;
	unsigned long long salt;
	int limited, connected;
	long quiet[COUNTERS];
	if (!PyArg_ParseTuple(args, "UOUUppK(llll)S", &where, &source, &key, &cell, &limited, &connected, &salt,
			      &quiet[0], &quiet[1], &quiet[2], &quiet[3], &piece))
		return NULL;
	allocfunc alloc = (allocfunc)PyType_GetSlot(SenderType, Py_tp_alloc);
	Sender *sender = (Sender *)alloc(SenderType, 0);
	if (sender == NULL)
		return NULL;
	char *text;
	sender->source = Py_NewRef(source);
	sender->key = Py_NewRef(key);
	sender->cell = Py_NewRef(cell);
	sender->limited = limited;
	sender->connected = connected;
	sender->salt = salt;
	memcpy(sender->quiet, quiet, sizeof quiet);
	int done = PyBytes_AsStringAndSize(piece, &text, &sender->piece_bytes) == 0;
	if (done && (sender->piece = malloc((size_t)sender->piece_bytes + 1)) == NULL) {
		PyErr_NoMemory();
		done = 0;
	}
	if (done) {
		memcpy(sender->piece, text, (size_t)sender->piece_bytes);
		if (PyDict_Size(self->senders) >= self->most_senders)
			PyDict_Clear(self->senders);
		done = PyDict_SetItem(self->senders, where, (PyObject *)sender) == 0;
	}
	Py_DECREF(sender);
	if (!done)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *counts(PyObject *object, PyObject *Py_UNUSED(none))
{
	FastPath *self = (FastPath *)object;
	return Py_BuildValue("(Kl)", *(unsigned long long *)self->passed.buf, self->looked);
}

static PyObject *fastpath_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
	PyObject *plan, *known, *secret = NULL;
	long sdp, interval, life, nonce_life, retransmissions, number;
	if (!PyArg_ParseTuple(args, "OO", &plan, &known))
		return NULL;
	if (!known_check(known)) {
		PyErr_SetString(PyExc_TypeError, "the second argument is a sipsieve._native.KnownShapes");
		return NULL;
	}
	allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
	FastPath *self = (FastPath *)alloc(type, 0);
	if (self == NULL)
		return NULL;
	self->known = (KnownShapes *)Py_NewRef(known);
	self->whole = -1;
	int done = (self->slow = of(plan, "slow")) && (self->get = of(plan, "get")) &&
		   (self->opened = of(plan, "opened")) && (self->over = of(plan, "over")) &&
		   (self->tally = of(plan, "tally")) && (self->write = of(plan, "write")) &&
		   (self->cell = of(plan, "cell")) && (self->allow = PyUnicode_FromString("allow")) &&
		   (self->second = of(plan, "second")) && (self->took = of(plan, "took")) &&
		   (self->failed = of(plan, "failed")) &&
		   (self->in_transaction = of(plan, "in_transaction")) &&
		   (self->body_is_plain = of(plan, "body_is_plain")) &&
		   (self->counts = (Counts *)of(plan, "counts")) && (secret = of(plan, "secret")) &&
		   secret_from(secret, &self->secret) &&
		   (self->methods = of(plan, "methods")) && (self->counters = of(plan, "counters")) &&
		   (self->mb = PyUnicode_FromString("$mb")) && (self->one = PyLong_FromLong(1)) &&
		   (self->senders = PyDict_New()) && (self->plain = PySet_New(NULL)) &&
		   buffer_of(plan, "head", 8, &self->head) && buffer_of(plan, "crowded", 8, &self->crowded) &&
		   buffer_of(plan, "copies", 16, &self->copies) && buffer_of(plan, "marks", 16, &self->marks) &&
		   buffer_of(plan, "answered", 16 * WAYS, &self->answered) &&
		   buffer_of(plan, "ledger", 24, &self->ledger) && buffer_of(plan, "clock", 16, &self->clock) &&
		   buffer_of(plan, "sequence", 8, &self->sequence) &&
		   buffer_of(plan, "passed", 8, &self->passed) && buffer_of(plan, "journal", 24, &self->journal) &&
		   buffer_of(plan, "torn", 1, &self->torn) && buffer_of(plan, "board", 8, &self->board) &&
		   number_of(plan, "written", &self->written) && number_of(plan, "sdp", &sdp) &&
		   number_of(plan, "interval", &interval) && number_of(plan, "life", &life) &&
		   number_of(plan, "nonce_life", &nonce_life) && number_of(plan, "retransmissions", &retransmissions) &&
		   number_of(plan, "number", &number) && number_of(plan, "every", &self->every) &&
		   number_of(plan, "most_senders", &self->most_senders) &&
		   text_of(plan, "fixed", &self->fixed, &self->fixed_bytes) &&
		   text_of(plan, "prefix", &self->prefix, &self->prefix_bytes);
	Py_XDECREF(secret);
	if (done && !counts_check((PyObject *)self->counts)) {
		PyErr_SetString(PyExc_TypeError, "counts is a sipsieve._native.Counts");
		done = 0;
	}
	if (done && (self->written < 0 || (self->written + 1) * 8 > self->board.len)) {
		PyErr_SetString(PyExc_ValueError, "written: no such cell");
		done = 0;
	}
	if (done && (!PyTuple_Check(self->methods) || PyTuple_Size(self->methods) > METHODS ||
		     !PyTuple_Check(self->counters) || PyTuple_Size(self->counters) != COUNTERS)) {
		PyErr_SetString(PyExc_ValueError, "methods and counters are tuples, of 32 at most and of 4");
		done = 0;
	}
	if (!done) {
		Py_DECREF(self);
		return NULL;
	}
	self->sdp = sdp != 0;
	self->interval = (int)interval;
	self->life = (int)life;
	self->nonce_life = (int)nonce_life;
	self->retransmissions = (int)retransmissions;
	self->number = (uint64_t)number;
	return (PyObject *)self;
}

static void sender_dealloc(PyObject *object)
{
	Sender *self = (Sender *)object;
	PyTypeObject *type = Py_TYPE(object);
	Py_XDECREF(self->source);
	Py_XDECREF(self->key);
	Py_XDECREF(self->cell);
	for (int counter = 0; counter < COUNTERS; counter++)
		Py_XDECREF(self->names[counter]);
	free(self->piece);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
	Py_DECREF(type);
}

static void fastpath_dealloc(PyObject *object)
{
	FastPath *self = (FastPath *)object;
	PyTypeObject *type = Py_TYPE(object);
	PyObject *held[] = {(PyObject *)self->known, (PyObject *)self->counts, self->slow, self->get, self->opened, self->over,
			    self->tally, self->write, self->cell, self->allow, self->second, self->took, self->failed, self->in_transaction,
			    self->body_is_plain, self->mb, self->methods, self->counters, self->one,
			    self->senders, self->plain};
	Py_buffer *buffers[] = {&self->head, &self->crowded, &self->copies, &self->marks, &self->answered,
				&self->ledger, &self->clock, &self->sequence, &self->journal, &self->torn, &self->board,
				&self->passed};
	for (size_t number = 0; number < sizeof held / sizeof *held; number++)
		Py_XDECREF(held[number]);
	for (size_t number = 0; number < sizeof buffers / sizeof *buffers; number++)
		if (buffers[number]->obj != NULL)
			PyBuffer_Release(buffers[number]);
	free(self->fixed);
	free(self->prefix);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
	Py_DECREF(type);
}

static PyMethodDef fastpath_methods[] = {
	{"message", (PyCFunction)(void (*)(void))message, METH_FASTCALL | METH_KEYWORDS,
	 "message(msg, where): 1 for a message that passed, else what the plan's `slow` answers."},
	{"meet", meet, METH_VARARGS,
	 "meet(where, source, key, cell, limited, connected, salt, quiet, piece): a sender whose messages may pass."},
	{"counts", counts, METH_NOARGS, "counts(): how many messages passed here, and how many were handed on."},
	{NULL, NULL, 0, NULL},
};

static PyType_Slot sender_slots[] = {
	{Py_tp_dealloc, sender_dealloc},
	{0, NULL},
};

static PyType_Spec sender_spec = {
	.name = "sipsieve._native.Sender",
	.basicsize = sizeof(Sender),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.slots = sender_slots,
};

static PyType_Slot fastpath_slots[] = {
	{Py_tp_doc, "FastPath(plan, known): passes ordinary messages; see sipsieve.fastpath.Plan."},
	{Py_tp_new, fastpath_new},
	{Py_tp_dealloc, fastpath_dealloc},
	{Py_tp_methods, fastpath_methods},
	{0, NULL},
};

static PyType_Spec fastpath_spec = {
	.name = "sipsieve._native.FastPath",
	.basicsize = sizeof(FastPath),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = fastpath_slots,
};

PyObject *fastpath_type(void)
{
	SenderType = (PyTypeObject *)PyType_FromSpec(&sender_spec);
	return SenderType == NULL ? NULL : PyType_FromSpec(&fastpath_spec);
}
