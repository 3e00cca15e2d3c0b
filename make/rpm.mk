# The RPM, by Debian's own rpmbuild, and Alpine's recipe as far as Debian can look at it.
rpm: toolchain profiled vendor ## the RPM, in build/rpm, looked at by rpmlint (PREBUILT=yes takes the core of `make core`)
	@command -v rpmbuild >/dev/null && command -v rpmlint >/dev/null || $(MAKE) --no-print-directory deps APT_PACKAGES='rpm rpmlint'
	@$(if $(PREBUILT),$(MAKE) --no-print-directory core)
	@packaging/build-rpm '$(VERSION)' $(if $(PREBUILT),prebuilt)

recipe-check: ## shellcheck looks at Alpine's recipe; Debian has no abuild to build it
	@command -v shellcheck >/dev/null || $(MAKE) --no-print-directory deps APT_PACKAGES=shellcheck
	@shellcheck -s sh -e SC2034,SC2154 packaging/alpine/APKBUILD && sh -n packaging/alpine/APKBUILD
	@grep -qx 'pkgver=$(VERSION)' packaging/alpine/APKBUILD || { echo 'APKBUILD: pkgver is not $(VERSION)' >&2; exit 1; }

.PHONY: rpm recipe-check
