# The offline analysis: what it needs beside the guard.
APT_PACKAGES += tshark chromium
