/* sipsieve._native: the way of an ordinary message, compiled. */
#include "native.h"

/* Raised when Python and this must be of one make. */
#define EDITION 1

/* identity(raw, secret): what tells a message from others, 64 bits. */
static PyObject *identity(PyObject *Py_UNUSED(module), PyObject *args)
{
	PyObject *raw, *key;
	Secret secret;
	char *bytes;
	Py_ssize_t size;
	if (!PyArg_ParseTuple(args, "SS", &raw, &key) || !secret_from(key, &secret) ||
	    PyBytes_AsStringAndSize(raw, &bytes, &size) < 0)
		return NULL;
	return PyLong_FromUnsignedLongLong(identity_of(&secret, (const uint8_t *)bytes, (size_t)size));
}

static PyMethodDef functions[] = {
	{"identity", identity, METH_VARARGS, "identity(raw, secret): what tells a message from others, 64 bits."},
	{"copies", copies, METH_VARARGS,
	 "copies(table, identity, seconds): how often this was seen within a transaction's life, this time included."},
	{NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "sipsieve._native",
	.m_doc = "The way of an ordinary message, compiled; sipsieve works without it, and costs more.",
	.m_size = -1,
	.m_methods = functions,
};

PyMODINIT_FUNC PyInit__native(void)
{
	PyObject *module = PyModule_Create(&definition);
	if (module == NULL)
		return NULL;
	PyObject *known = known_type(), *counts = counts_type(), *fastpath = fastpath_type();
	if (known == NULL || counts == NULL || fastpath == NULL || PyModule_AddObjectRef(module, "Counts", counts) < 0 ||
	    PyModule_AddObjectRef(module, "KnownShapes", known) < 0 ||
	    PyModule_AddObjectRef(module, "FastPath", fastpath) < 0 ||
	    PyModule_AddIntConstant(module, "EDITION", EDITION) < 0)
		Py_CLEAR(module);
	/* The types stay for good: the files hold them. */
	Py_XDECREF(fastpath);
	return module;
}
