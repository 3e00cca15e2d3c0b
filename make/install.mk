# Installing from this tree, and taking it out again. docs/install.md tells the rest.
DESTDIR ?=
# Where the wheels come from instead of the network: make wheelhouse, then WHEELHOUSE=build/wheelhouse.
WHEELHOUSE ?=
# PACKAGES=no leaves the Python packages to the caller.
PACKAGES ?= yes

INSTALLED := $(DESTDIR)/usr/lib/sipsieve
# Files for other programs, for an operator to copy: no program of ours reads them.
SHARED := $(DESTDIR)/usr/share/sipsieve
DROPIN := $(DESTDIR)/usr/lib/systemd/system/kamailio.service.d/sipsieve.conf
# The source's own leftovers stay behind.
COPIED := ! -path '*/__pycache__*' ! -name '*.pyc' ! -path '*.egg-info*' ! -path 'kemi/core/*' ! -name '*.pyi'

install: ## into /usr/lib/sipsieve, /usr/share/sipsieve, /etc/sipsieve, /var/log/sipsieve (DESTDIR, WHEELHOUSE)
	@if make/toolchain cargo >/dev/null 2>&1; then \
		$(MAKE) -s --no-print-directory profiled || echo 'core: built without a profile, see above' >&2; \
		$(MAKE) -s --no-print-directory $(CORE) || { echo 'Not installed: the compiled core cannot be built; see above.' \
			'What it needs: Rust, gcc, libc6-dev, and its crates from the network or from make vendor.' >&2; exit 1; }; \
	elif [ ! -e $(CORE) ]; then \
		echo 'Not installed: the compiled core is not there and cannot be built.' >&2; \
		make/toolchain cargo; exit 1; \
	fi
	@install -d $(INSTALLED) $(DESTDIR)/etc/sipsieve $(DESTDIR)/etc/logrotate.d $(DESTDIR)/usr/bin \
		$(DESTDIR)/usr/sbin $(dir $(DROPIN)) $(DESTDIR)/var/log/sipsieve $(DESTDIR)/var/lib/sipsieve
	@rm -rf $(INSTALLED)/kemi $(INSTALLED)/analysis
	@find kemi analysis -type f $(COPIED) ! -path kemi/sipsieve.toml -exec install -D -m 644 {} $(INSTALLED)/{} \;
	@rm -rf $(SHARED)
	@find integrations -type f -exec install -D -m 644 {} $(SHARED)/{} \;
	@install -D -m 644 -t $(SHARED)/prometheus docs/operate/sipsieve.rules.yml docs/operate/grafana-dashboard.json \
		docs/operate/sipsieve.console.html
	@install -m 644 kamailio.cfg $(INSTALLED)/kamailio.cfg
	@install -m 755 packaging/sipsieve $(DESTDIR)/usr/bin/sipsieve
	@install -m 755 packaging/sipsieve-packages $(DESTDIR)/usr/sbin/sipsieve-packages
	@ln -sfn /etc/sipsieve/sipsieve.toml $(INSTALLED)/kemi/sipsieve.toml
	@test -e $(DESTDIR)/etc/sipsieve/sipsieve.toml || install -m 644 kemi/sipsieve.toml $(DESTDIR)/etc/sipsieve/sipsieve.toml
	@test -e $(DESTDIR)/etc/logrotate.d/sipsieve || install -m 644 packaging/logrotate $(DESTDIR)/etc/logrotate.d/sipsieve
	@install -m 644 packaging/kamailio.service.conf $(DROPIN)
	@if [ $(PACKAGES) != no ]; then \
		packaging/sipsieve-packages $(if $(DESTDIR),--root '$(abspath $(DESTDIR))') $(if $(WHEELHOUSE),--wheelhouse '$(WHEELHOUSE)'); \
	fi
	@if [ -z '$(DESTDIR)' ]; then \
		if getent passwd kamailio >/dev/null; then \
			install -d -o kamailio -g adm -m 2750 /var/log/sipsieve; \
			install -d -o kamailio -g kamailio -m 750 /var/lib/sipsieve; \
		else \
			echo 'There is no user kamailio: install Kamailio, then call this again.' >&2; exit 1; \
		fi; \
		if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi; \
		echo 'Installed. Next: sipsieve check --kamailio /etc/kamailio/kamailio.cfg'; \
	fi

uninstall: ## take it out; policy, logs and state stay (PURGE=1 removes them too)
	@rm -rf $(INSTALLED) $(SHARED)
	@rm -f $(DESTDIR)/usr/bin/sipsieve $(DESTDIR)/usr/sbin/sipsieve-packages $(DROPIN)
	@test ! -d $(dir $(DROPIN)) || rmdir --ignore-fail-on-non-empty $(dir $(DROPIN))
	@if [ -n '$(PURGE)' ]; then \
		rm -rf $(DESTDIR)/etc/sipsieve $(DESTDIR)/var/log/sipsieve $(DESTDIR)/var/lib/sipsieve; \
		rm -f $(DESTDIR)/etc/logrotate.d/sipsieve; \
	fi
	@if [ -z '$(DESTDIR)' ]; then \
		if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi; \
		if grep -ls sipsieve.cfg /etc/kamailio/*.cfg; then \
			echo 'These still include sipsieve.cfg: remove that line, or Kamailio will not start again.'; \
		fi; \
	fi

.PHONY: install uninstall
