/* Counters of the running window and the one before, exact across all workers, in a fixed piece of memory.

   An entry is one 64-bit word that is only ever changed by compare-and-swap: 32 bits of the name's hash,
   8 of the window, 24 of the count. A name has eight places, one cache line; a place whose window is over
   is free. Nothing is locked, so a worker that is killed leaves nothing behind. */
#include "native.h"

#define WAYS 8
#define MOST 0xFFFFFFull

struct Counts {
	PyObject_HEAD
	Py_buffer buffer;
	uint64_t sets;
};

static PyTypeObject *CountsType;

/* Of the window, the one before, or, to a writer that is a little late, the next one. */
static inline int is_live(uint64_t entry, uint64_t window)
{
	return entry && ((window + 1 - (entry >> 24)) & 0xFF) <= 2;
}

/* The upper half of an entry tells names of one set apart, and is never 0. */
static inline uint64_t name_of(uint64_t identity)
{
	return (identity | 1) << 32;
}

static uint64_t *places(const Counts *self, uint64_t identity)
{
	return (uint64_t *)self->buffer.buf + (identity >> 32) % self->sets * WAYS;
}

long counts_raise(Counts *self, uint64_t identity, uint64_t window)
{
	uint64_t *place = places(self, identity), name = name_of(identity);
again:;
	uint64_t *free_place = NULL, old = 0;
	for (int way = 0; way < WAYS; way++) {
		uint64_t entry = __atomic_load_n(&place[way], __ATOMIC_RELAXED);
		if (!is_live(entry, window)) {
			if (free_place == NULL) {
				free_place = &place[way];
				old = entry;
			}
			continue;
		}
		if (entry >> 32 != name >> 32)
			continue;
		while ((entry & MOST) < MOST) {
			if (__atomic_compare_exchange_n(&place[way], &entry, entry + 1, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
				return (long)((entry & MOST) + 1);
			/* Another worker was faster; or the place is another's by now. */
			if (entry >> 32 != name >> 32)
				goto again;
		}
		return (long)MOST;
	}
	if (free_place == NULL)
		return 0;
	if (!__atomic_compare_exchange_n(free_place, &old, name | (window & 0xFF) << 24 | 1, 0, __ATOMIC_RELAXED,
					 __ATOMIC_RELAXED))
		goto again;
	return 1;
}

/* A name's identity, and the window. False with an exception set. */
static int named(PyObject *args, uint64_t *identity, unsigned long long *window)
{
	PyObject *name;
	if (!PyArg_ParseTuple(args, "UK", &name, window))
		return 0;
	Py_hash_t hash = PyObject_Hash(name);
	*identity = (uint64_t)hash;
	return hash != -1;
}

static PyObject *counts_raise_method(PyObject *object, PyObject *args)
{
	uint64_t identity;
	unsigned long long window;
	if (!named(args, &identity, &window))
		return NULL;
	return PyLong_FromLong(counts_raise((Counts *)object, identity, window));
}

static PyObject *counts_get(PyObject *object, PyObject *args)
{
	uint64_t identity;
	unsigned long long window;
	if (!named(args, &identity, &window))
		return NULL;
	const uint64_t *place = places((Counts *)object, identity);
	for (int way = 0; way < WAYS; way++) {
		uint64_t entry = __atomic_load_n(&place[way], __ATOMIC_RELAXED);
		if (is_live(entry, window) && entry >> 32 == name_of(identity) >> 32)
			return PyLong_FromUnsignedLongLong(entry & MOST);
	}
	return PyLong_FromLong(0);
}

static PyObject *counts_forget(PyObject *object, PyObject *Py_UNUSED(none))
{
	Counts *self = (Counts *)object;
	uint64_t *words = self->buffer.buf;
	for (uint64_t number = 0; number < self->sets * WAYS; number++)
		if (words[number])
			__atomic_store_n(&words[number], 0, __ATOMIC_RELAXED);
	Py_RETURN_NONE;
}

static PyObject *counts_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
	PyObject *memory;
	if (!PyArg_ParseTuple(args, "O", &memory))
		return NULL;
	allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
	Counts *self = (Counts *)alloc(type, 0);
	if (self == NULL)
		return NULL;
	if (PyObject_GetBuffer(memory, &self->buffer, PyBUF_WRITABLE) == 0) {
		self->sets = (uint64_t)self->buffer.len / (8 * WAYS);
		if (self->sets && (uintptr_t)self->buffer.buf % 8 == 0)
			return (PyObject *)self;
		PyErr_SetString(PyExc_ValueError, "the memory is too small, or not aligned");
	}
	Py_DECREF(self);
	return NULL;
}

static void counts_dealloc(PyObject *object)
{
	Counts *self = (Counts *)object;
	PyTypeObject *type = Py_TYPE(object);
	if (self->buffer.obj != NULL)
		PyBuffer_Release(&self->buffer);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
	Py_DECREF(type);
}

static PyMethodDef counts_methods[] = {
	{"increase", counts_raise_method, METH_VARARGS,
	 "increase(name, window): raises a counter and returns it; 0 where no place is left."},
	{"get", counts_get, METH_VARARGS, "get(name, window): the counter, 0 where there is none."},
	{"forget", counts_forget, METH_NOARGS, "forget(): all counters begin anew."},
	{NULL, NULL, 0, NULL},
};

static PyType_Slot counts_slots[] = {
	{Py_tp_doc, "Counts(memory): counters that all processes which map this memory share."},
	{Py_tp_new, counts_new},
	{Py_tp_dealloc, counts_dealloc},
	{Py_tp_methods, counts_methods},
	{0, NULL},
};

static PyType_Spec counts_spec = {
	.name = "sipsieve._native.Counts",
	.basicsize = sizeof(Counts),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = counts_slots,
};

PyObject *counts_type(void)
{
	CountsType = (PyTypeObject *)PyType_FromSpec(&counts_spec);
	return (PyObject *)CountsType;
}

int counts_check(PyObject *object)
{
	return Py_TYPE(object) == CountsType;
}
