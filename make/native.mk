# The compiled fast path. Optional: without it all is decided alike, at two to four times the cost.
APT_PACKAGES += gcc libc6-dev python3-dev

NATIVE := kemi/sipsieve/_native.abi3.so
NATIVE_SOURCES := $(wildcard kemi/native/*.c)
NATIVE_FLAGS := -O2 -std=c11 -D_DEFAULT_SOURCE -fPIC -shared -fvisibility=hidden -Wall -Wextra \
	-Wno-missing-field-initializers
# Of a build by hand; a packager's own flags take their place.
CFLAGS ?= -fstack-protector-strong -D_FORTIFY_SOURCE=2
LDFLAGS ?= -Wl,-z,relro,-z,now
# Those of Debian's Python, which Kamailio embeds. Built by the stable interface, one file serves 3.11 and later.
PYTHON_HEADERS := $(shell /usr/bin/python3 -c 'import sysconfig; print(sysconfig.get_path("include"))' 2>/dev/null)

native: deps ## build the compiled fast path, kemi/sipsieve/_native.abi3.so
	@$(MAKE) -s --no-print-directory $(NATIVE)

$(NATIVE): $(NATIVE_SOURCES) kemi/native/native.h make/native.mk
	@$(CC) $(NATIVE_FLAGS) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -I$(PYTHON_HEADERS) $(NATIVE_SOURCES) -o $@.new
	@mv $@.new $@

.PHONY: native
