/* The shapes that are known: finds the one that a message has, in time linear in the message's length.

   Does what sipsieve/known.py does, which tells what a shape is and is used where this is not built.
   Every span is checked against the message's length when it is learned; a message is only ever
   compared with layouts of its own length. */
#include "native.h"

#include <stdlib.h>
#include <string.h>

/* Lengths and shapes are spread over so many chains. */
#define LENGTHS 1024
#define BUCKETS 8192

struct KnownShapes {
	PyObject_HEAD
	PyObject *scan, *whole, *hit, *hits, *zero;
	Secret secret;
	Py_ssize_t most_shapes, most_layouts, count;
	/* The chain that gives its oldest shape next. */
	size_t hand;
	Layout **lengths;
	Known **buckets;
	uint8_t alnum[256];
	Words *words;
};

static PyTypeObject *KnownType;

int secret_from(PyObject *bytes, Secret *secret)
{
	char *text;
	Py_ssize_t size;
	if (PyBytes_AsStringAndSize(bytes, &text, &size) < 0)
		return 0;
	if (size != sizeof *secret) {
		PyErr_SetString(PyExc_ValueError, "a secret has 16 bytes");
		return 0;
	}
	memcpy(secret, text, sizeof *secret);
	return 1;
}

static uint64_t constants_hash(const KnownShapes *self, const Layout *layout, const uint8_t *raw)
{
	Hash hash = hash_begin(&self->secret, (uint64_t)(uintptr_t)layout);
	for (int number = 0; number < layout->constants; number++) {
		Span span = layout->spans[number];
		hash_take(&hash, &self->secret, raw + span.start, span.end - span.start);
	}
	return hash_end(&hash, &self->secret);
}

static int same_constants(const Layout *layout, const uint8_t *one, const uint8_t *other)
{
	for (int number = 0; number < layout->constants; number++) {
		Span span = layout->spans[number];
		if (memcmp(one + span.start, other + span.start, span.end - span.start))
			return 0;
	}
	return 1;
}

/* Whether the holes hold letters and digits only, and that of the CSeq number digits. */
static int holes_are_filled(const KnownShapes *self, const Layout *layout, const uint8_t *raw)
{
	const Span *holes = layout->spans + layout->constants;
	for (uint32_t at = holes[0].start; at < holes[0].end; at++)
		if (raw[at] < '0' || raw[at] > '9')
			return 0;
	unsigned all = 1;
	for (int number = 1; number < layout->holes; number++)
		for (uint32_t at = holes[number].start; at < holes[number].end; at++)
			all &= self->alnum[raw[at]];
	return (int)all;
}

/* Whether a database matches a text, which is released: 1 or 0; -1 with an exception set. */
static int matches(KnownShapes *self, PyObject *scan, PyObject *text)
{
	PyObject *done = PyObject_CallFunctionObjArgs(scan, text, self->hit, self->zero, Py_None, NULL);
	Py_DECREF(text);
	if (done == NULL)
		return -1;
	Py_DECREF(done);
	if (PyList_Size(self->hits) == 0)
		return 0;
	return PyList_SetSlice(self->hits, 0, PyList_Size(self->hits), NULL) < 0 ? -1 : 1;
}

/* Whether a rule matches a value with + in front as a backend may read it, with a space there: as above. */
static int matches_with_space(KnownShapes *self, const Span *values, int count, const uint8_t *raw)
{
	Span last = {0, 0};
	for (int number = 0; number < count; number++) {
		Span span = values[number];
		size_t size = span.end - span.start;
		if (!size || raw[span.start] != '+' ||
		    (size == last.end - last.start && !memcmp(raw + span.start, raw + last.start, size)))
			continue;
		last = span;
		PyObject *text = PyBytes_FromStringAndSize((const char *)raw + span.start, (Py_ssize_t)size);
		if (text == NULL)
			return -1;
		*PyBytes_AsString(text) = ' ';
		int found = matches(self, self->whole, text);
		if (found)
			return found;
	}
	return 0;
}

/* Whether a value with holes holds a word that a rule needs: 1 or 0; -1 with an exception set. */
static int holds_words(KnownShapes *self, const Layout *layout, const uint8_t *raw)
{
	const Span *values = layout->spans + layout->constants + layout->holes;
	if (layout->plus) {
		int found = matches_with_space(self, values, layout->values, raw);
		if (found)
			return found;
	}
	if (self->words != NULL && !words_may_be_in(self->words, values, layout->values, raw))
		return 0;
	PyObject *text = PyBytes_FromStringAndSize(NULL, layout->text_bytes);
	if (text == NULL)
		return -1;
	char *out = PyBytes_AsString(text);
	for (int number = 0; number < layout->values; number++) {
		size_t size = values[number].end - values[number].start;
		if (number)
			*out++ = '\n';
		memcpy(out, raw + values[number].start, size);
		out += size;
	}
	return matches(self, self->scan, text);
}

const Known *known_find(KnownShapes *self, const uint8_t *raw, size_t length)
{
	if (self->count == 0)
		return NULL;
	for (Layout *layout = self->lengths[length % LENGTHS]; layout != NULL; layout = layout->next) {
		if (layout->length != length)
			continue;
		uint64_t hash = constants_hash(self, layout, raw);
		for (Known *known = self->buckets[hash % BUCKETS]; known != NULL; known = known->next) {
			if (known->hash != hash || known->layout != layout || !same_constants(layout, known->raw, raw))
				continue;
			if (!holes_are_filled(self, layout, raw))
				return NULL;
			int words = holds_words(self, layout, raw);
			if (words < 0)
				PyErr_Clear();
			return words == 0 ? known : NULL;
		}
	}
	return NULL;
}

static void lane_free(Lane *lane)
{
	if (lane == NULL)
		return;
	for (int number = 0; number < lane->pieces; number++)
		free(lane->record[number].text);
	free(lane->record);
	free(lane);
}

static void known_free(Known *known)
{
	if (known == NULL)
		return;
	Py_XDECREF(known->shape);
	lane_free(known->lane);
	free(known->raw);
	free(known);
}

/* Takes out the shapes of one layout; of all where it is NULL. */
static void forget_shapes(KnownShapes *self, const Layout *layout)
{
	for (size_t number = 0; number < BUCKETS; number++) {
		Known **at = &self->buckets[number];
		while (*at != NULL) {
			Known *known = *at;
			if (layout != NULL && known->layout != layout) {
				at = &known->next;
				continue;
			}
			*at = known->next;
			known_free(known);
			self->count--;
		}
	}
}

/* Takes a layout without shapes out, unless it is the one at hand. */
static void layout_forget(KnownShapes *self, Layout *layout, const Layout *hand)
{
	if (layout->shapes || layout == hand)
		return;
	Layout **at = &self->lengths[layout->length % LENGTHS];
	while (*at != layout)
		at = &(*at)->next;
	*at = layout->next;
	free(layout);
}

/* Makes room for one: chains give in turn, so which shape goes is chance, and those in use come back. */
static void forget_one(KnownShapes *self, const Layout *hand)
{
	while (self->buckets[self->hand] == NULL)
		self->hand = (self->hand + 1) % BUCKETS;
	Known **at = &self->buckets[self->hand];
	while ((*at)->next != NULL)
		at = &(*at)->next;
	Layout *layout = (*at)->layout;
	known_free(*at);
	*at = NULL;
	self->count--;
	layout->shapes--;
	layout_forget(self, layout, hand);
	self->hand = (self->hand + 1) % BUCKETS;
}

static void forget_all(KnownShapes *self)
{
	forget_shapes(self, NULL);
	for (size_t number = 0; number < LENGTHS; number++) {
		Layout *next;
		for (Layout *layout = self->lengths[number]; layout != NULL; layout = next) {
			next = layout->next;
			free(layout);
		}
		self->lengths[number] = NULL;
	}
}

int span_from(PyObject *pair, Py_ssize_t limit, Span *span)
{
	Py_ssize_t start, end;
	if (!PyTuple_Check(pair)) {
		PyErr_SetString(PyExc_TypeError, "a span is a pair of numbers");
		return 0;
	}
	if (!PyArg_ParseTuple(pair, "nn", &start, &end))
		return 0;
	if (start < 0 || end < start || end > limit) {
		PyErr_SetString(PyExc_ValueError, "a span lies outside of the message");
		return 0;
	}
	span->start = (uint32_t)start;
	span->end = (uint32_t)end;
	return 1;
}

/* The spans of a list, to `spans`. False with an exception set. */
static int spans_from(PyObject *list, Py_ssize_t limit, Span *spans)
{
	for (Py_ssize_t number = 0; number < PyList_Size(list); number++)
		if (!span_from(PyList_GetItem(list, number), limit, &spans[number]))
			return 0;
	return 1;
}

static int same_spans(const Layout *one, const Layout *other)
{
	int all = one->constants + one->holes + one->values;
	return one->plus == other->plus && one->constants == other->constants && one->holes == other->holes && one->values == other->values &&
	       one->head_end == other->head_end && !memcmp(one->spans, other->spans, sizeof(Span) * (size_t)all);
}

/* Pieces of a record: bytes, or spans. False with an exception set. */
static int record_from(PyObject *pieces, Py_ssize_t limit, Lane *lane)
{
	Py_ssize_t count = PyTuple_Size(pieces);
	if (count < 0)
		return 0;
	lane->record = calloc((size_t)count + 1, sizeof(Piece));
	if (lane->record == NULL) {
		PyErr_NoMemory();
		return 0;
	}
	for (; lane->pieces < count; lane->pieces++) {
		Piece *piece = &lane->record[lane->pieces];
		PyObject *given = PyTuple_GetItem(pieces, lane->pieces);
		if (PyBytes_Check(given)) {
			char *text;
			Py_ssize_t size;
			if (PyBytes_AsStringAndSize(given, &text, &size) < 0)
				return 0;
			if (size > MAX_MESSAGE) {
				PyErr_SetString(PyExc_ValueError, "a piece is too long");
				return 0;
			}
			piece->span.end = (uint32_t)size;
			piece->text = malloc((size_t)size + 1);
			if (piece->text == NULL) {
				PyErr_NoMemory();
				return 0;
			}
			memcpy(piece->text, text, (size_t)size);
		} else if (!span_from(given, limit, &piece->span)) {
			return 0;
		}
		lane->record_bytes += piece->span.end - piece->span.start;
	}
	return 1;
}

static int place_is_in(int place, int least, int end)
{
	if (place >= least && place < end)
		return 1;
	PyErr_SetString(PyExc_ValueError, "no such method or counter");
	return 0;
}

/* A lane from the tuple that fastpath.py makes. NULL with an exception set. */
static Lane *lane_from(PyObject *given, Py_ssize_t limit)
{
	PyObject *call_id, *from_tag, *to_tag, *number, *nonce, *record;
	Lane *lane = calloc(1, sizeof(Lane));
	if (lane == NULL) {
		PyErr_NoMemory();
		return NULL;
	}
	/* Places in tables of fixed size: METHODS and COUNTERS of fastpath.c. */
	if (PyArg_ParseTuple(given, "iippppOOOOOO!", &lane->method, &lane->counter, &lane->is_reply, &lane->remembers,
			     &lane->tagged, &lane->credentials, &call_id, &from_tag, &to_tag, &number, &nonce,
			     &PyTuple_Type, &record) &&
	    place_is_in(lane->method, 0, MOST_METHODS) && place_is_in(lane->counter, -1, MOST_COUNTERS - 1) &&
	    span_from(call_id, limit, &lane->call_id) && span_from(from_tag, limit, &lane->from_tag) &&
	    span_from(to_tag, limit, &lane->to_tag) && span_from(number, limit, &lane->number) &&
	    span_from(nonce, limit, &lane->nonce) && record_from(record, limit, lane))
		return lane;
	lane_free(lane);
	return NULL;
}

/* A layout without neighbours. NULL with an exception set. */
static Layout *layout_from(PyObject *constants, PyObject *holes, PyObject *values, Py_ssize_t length, int plus)
{
	Py_ssize_t some = PyList_Size(constants), more = PyList_Size(holes), rest = PyList_Size(values);
	if (some < 1 || more < 1 || rest < 1) {
		PyErr_SetString(PyExc_ValueError, "a shape needs constants, holes and values");
		return NULL;
	}
	Layout *layout = calloc(1, sizeof(Layout) + sizeof(Span) * (size_t)(some + more + rest));
	if (layout == NULL) {
		PyErr_NoMemory();
		return NULL;
	}
	layout->length = (uint32_t)length;
	layout->plus = plus;
	layout->constants = (int)some;
	layout->holes = (int)more;
	layout->values = (int)rest;
	if (!spans_from(constants, length, layout->spans) || !spans_from(holes, length, layout->spans + some) ||
	    !spans_from(values, length, layout->spans + some + more)) {
		free(layout);
		return NULL;
	}
	layout->head_end = layout->spans[some - 1].end;
	size_t bytes = (size_t)rest - 1;
	for (Py_ssize_t number = some + more; number < some + more + rest; number++)
		bytes += layout->spans[number].end - layout->spans[number].start;
	if (bytes > MAX_MESSAGE) {
		PyErr_SetString(PyExc_ValueError, "values overlap");
		free(layout);
		return NULL;
	}
	layout->text_bytes = (uint32_t)bytes;
	return layout;
}

/* The layout that is like a new one, or the new one itself, put in the place of the oldest of too many. */
static Layout *settled(KnownShapes *self, Layout *fresh)
{
	Layout **chain = &self->lengths[fresh->length % LENGTHS];
	Layout **oldest = NULL;
	Py_ssize_t alike = 0;
	for (Layout **at = chain; *at != NULL; at = &(*at)->next) {
		if ((*at)->length != fresh->length)
			continue;
		if (same_spans(*at, fresh)) {
			free(fresh);
			return *at;
		}
		alike++;
		oldest = at;
	}
	if (alike >= self->most_layouts) {
		Layout *gone = *oldest;
		forget_shapes(self, gone);
		*oldest = gone->next;
		free(gone);
	}
	/* In front: the last of a length is its oldest. */
	fresh->next = *chain;
	*chain = fresh;
	return fresh;
}

static PyObject *known_learn(PyObject *object, PyObject *args)
{
	KnownShapes *self = (KnownShapes *)object;
	PyObject *raw, *constants, *holes, *values, *shape, *given;
	int plus;
	char *bytes;
	Py_ssize_t length;
	if (!PyArg_ParseTuple(args, "SO!O!O!pOO", &raw, &PyList_Type, &constants, &PyList_Type, &holes, &PyList_Type,
			      &values, &plus, &shape, &given) ||
	    PyBytes_AsStringAndSize(raw, &bytes, &length) < 0)
		return NULL;
	if (length > MAX_MESSAGE) {
		PyErr_SetString(PyExc_ValueError, "no datagram is that long");
		return NULL;
	}
	Layout *layout = layout_from(constants, holes, values, length, plus);
	if (layout == NULL)
		return NULL;
	Known *known = calloc(1, sizeof(Known));
	if (known == NULL || (known->raw = malloc((size_t)length + 1)) == NULL) {
		free(known);
		free(layout);
		return PyErr_NoMemory();
	}
	memcpy(known->raw, bytes, (size_t)length);
	if (given != Py_None && (known->lane = lane_from(given, length)) == NULL) {
		known_free(known);
		free(layout);
		return NULL;
	}
	layout = settled(self, layout);
	known->layout = layout;
	known->shape = Py_NewRef(shape);
	known->hash = constants_hash(self, layout, known->raw);
	Known **bucket = &self->buckets[known->hash % BUCKETS];
	for (Known **at = bucket; *at != NULL; at = &(*at)->next)
		if ((*at)->hash == known->hash && (*at)->layout == layout &&
		    same_constants(layout, (*at)->raw, known->raw)) {
			Known *gone = *at;
			*at = gone->next;
			known_free(gone);
			self->count--;
			layout->shapes--;
			break;
		}
	if (self->count >= self->most_shapes)
		forget_one(self, layout);
	layout->shapes++;
	known->next = *bucket;
	*bucket = known;
	self->count++;
	Py_RETURN_NONE;
}

static PyObject *known_find_method(PyObject *self, PyObject *raw)
{
	char *bytes;
	Py_ssize_t length;
	if (PyBytes_AsStringAndSize(raw, &bytes, &length) < 0)
		return NULL;
	const Known *known = known_find((KnownShapes *)self, (const uint8_t *)bytes, (size_t)length);
	return Py_NewRef(known == NULL ? Py_None : known->shape);
}

static PyObject *known_forget(PyObject *self, PyObject *Py_UNUSED(none))
{
	forget_all((KnownShapes *)self);
	Py_RETURN_NONE;
}

static Py_ssize_t known_length(PyObject *self)
{
	return ((KnownShapes *)self)->count;
}

/* What Hyperscan calls for each match: keeps that there was one. */
static PyObject *note_hit(PyObject *hits, PyObject *Py_UNUSED(args))
{
	if (PyList_Append(hits, Py_None) < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyMethodDef hit_method = {"hit", note_hit, METH_VARARGS, NULL};

static PyObject *known_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
	PyObject *scan, *whole, *words, *alone, *endings, *secret;
	Py_ssize_t shapes, layouts;
	Secret key;
	if (!PyArg_ParseTuple(args, "OOO!O!O!Snn", &scan, &whole, &PyList_Type, &words, &PyList_Type, &alone, &PyList_Type,
			      &endings, &secret, &shapes, &layouts) ||
	    !secret_from(secret, &key))
		return NULL;
	if (shapes < 1 || layouts < 1) {
		PyErr_SetString(PyExc_ValueError, "no room for a shape");
		return NULL;
	}
	allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
	KnownShapes *self = (KnownShapes *)alloc(type, 0);
	if (self == NULL)
		return NULL;
	self->secret = key;
	self->most_shapes = shapes;
	self->most_layouts = layouts;
	for (int byte = 0; byte < 256; byte++)
		self->alnum[byte] = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
				    (byte >= 'a' && byte <= 'z');
	self->scan = Py_NewRef(scan);
	self->whole = Py_NewRef(whole);
	self->lengths = calloc(LENGTHS, sizeof(Layout *));
	self->buckets = calloc(BUCKETS, sizeof(Known *));
	self->hits = PyList_New(0);
	self->zero = PyLong_FromLong(0);
	if (PyList_Size(words) && (self->words = words_from(words, alone, endings)) == NULL) {
		Py_DECREF(self);
		return NULL;
	}
	if (self->hits != NULL)
		self->hit = PyCFunction_New(&hit_method, self->hits);
	if (self->hit == NULL || self->zero == NULL || self->lengths == NULL || self->buckets == NULL) {
		Py_DECREF(self);
		return PyErr_Occurred() ? NULL : PyErr_NoMemory();
	}
	return (PyObject *)self;
}

static void known_dealloc(PyObject *object)
{
	KnownShapes *self = (KnownShapes *)object;
	PyTypeObject *type = Py_TYPE(object);
	if (self->lengths != NULL && self->buckets != NULL)
		forget_all(self);
	free(self->lengths);
	free(self->buckets);
	free(self->words);
	Py_XDECREF(self->scan);
	Py_XDECREF(self->whole);
	Py_XDECREF(self->hit);
	Py_XDECREF(self->hits);
	Py_XDECREF(self->zero);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
	Py_DECREF(type);
}

static PyMethodDef known_methods[] = {
	{"learn", known_learn, METH_VARARGS,
	 "learn(raw, constants, holes, values, plus, shape, lane): keeps a shape and, unless None, its lane."},
	{"find", known_find_method, METH_O, "find(raw): the shape of a message, None for one that has to be looked at."},
	{"forget", known_forget, METH_NOARGS, "forget(): begins anew."},
	{NULL, NULL, 0, NULL},
};

static PyType_Slot known_slots[] = {
	{Py_tp_doc, "KnownShapes(scan, whole, words, alone, endings, secret, most_shapes, most_layouts): as sipsieve.known.KnownShapes."},
	{Py_tp_new, known_new},
	{Py_tp_dealloc, known_dealloc},
	{Py_tp_methods, known_methods},
	{Py_mp_length, known_length},
	{0, NULL},
};

static PyType_Spec known_spec = {
	.name = "sipsieve._native.KnownShapes",
	.basicsize = sizeof(KnownShapes),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = known_slots,
};

PyObject *known_type(void)
{
	KnownType = (PyTypeObject *)PyType_FromSpec(&known_spec);
	return (PyObject *)KnownType;
}

int known_check(PyObject *object)
{
	return Py_TYPE(object) == KnownType;
}
