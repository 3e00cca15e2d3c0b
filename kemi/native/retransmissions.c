/* Tells retransmissions, for all workers at once: of a message's copies that several of them read at the same moment
   just one is the first. The table is that of sipsieve/retransmission.py. */
#include "native.h"

/* Seconds that a transaction lives. */
#define TRANSACTION 32

int copies_of(const Py_buffer *table, uint64_t identity, uint64_t seconds)
{
	uint64_t *place = (uint64_t *)table->buf + identity % (uint64_t)(table->len / 16) * 2;
	uint64_t first = (seconds & 0xFFFFFFFF) << 32 | 1, known = __atomic_load_n(place, __ATOMIC_ACQUIRE);
	if (known != identity) {
		/* The time stands there before the identity does: whoever finds the one finds the other. */
		__atomic_store_n(place + 1, first, __ATOMIC_RELEASE);
		if (__atomic_compare_exchange_n(place, &known, identity, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return 1;
		if (known != identity)
			return 1;
	}
	uint64_t state = __atomic_load_n(place + 1, __ATOMIC_ACQUIRE);
	for (;;) {
		int64_t age = (int64_t)(seconds & 0xFFFFFFFF) - (int64_t)(state >> 32);
		uint64_t copies = state & 0xFFFFFFFF;
		uint64_t next = age < 0 || age > TRANSACTION ? first : copies < 0xFFFFFFFF ? state + 1 : state;
		if (!__atomic_compare_exchange_n(place + 1, &state, next, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			continue;
		copies = next & 0xFFFFFFFF;
		return copies > 1000000 ? 1000000 : (int)copies;
	}
}

PyObject *copies(PyObject *Py_UNUSED(module), PyObject *args)
{
	Py_buffer table;
	unsigned long long identity, seconds;
	if (!PyArg_ParseTuple(args, "w*KK", &table, &identity, &seconds))
		return NULL;
	PyObject *result = NULL;
	if (table.len < 16 || (uintptr_t)table.buf % 8)
		PyErr_SetString(PyExc_ValueError, "the table is too small, or not aligned");
	else
		result = PyLong_FromLong(copies_of(&table, identity, seconds));
	PyBuffer_Release(&table);
	return result;
}
