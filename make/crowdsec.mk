# CrowdSec's own programs for the tests, unpacked and not installed: the package's installation asks a server on the Internet.
CROWDSEC := build/crowdsec

$(CROWDSEC)/.done: make/crowdsec.mk
	@mkdir -p $(CROWDSEC)
	@flock $(CROWDSEC) sh -ec 'cd $(CROWDSEC); [ ! -e .done ] || exit 0; \
		apt-get download -qq crowdsec 2>/dev/null || { $(SUDO) apt-get update -qq; apt-get download -qq crowdsec; }; \
		rm -rf root; dpkg-deb -x crowdsec_*.deb root; rm -rf root/usr/share/crowdsec/data; touch .done'

prepare: $(CROWDSEC)/.done
