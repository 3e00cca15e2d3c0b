# The documentation as a site that needs no network.
site: venv ## the documentation as a site with search, in build/site; ends with an error where a link leads nowhere
	@NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --clean --config-file packaging/site/mkdocs.yml
	@echo 'build/site/index.html; with search: python3 -m http.server -d build/site'

.PHONY: site

pictures: venv ## the pictures of docs/pictures anew, by Chromium, from the honeypot's week
	@command -v chromium >/dev/null || $(MAKE) --no-print-directory deps APT_PACKAGES=chromium
	@$(PYTHON) packaging/site/pictures.py

.PHONY: pictures

shown: venv ## what the commands in the docs print, put into the pages anew (PAGES="docs/bans.md …"; as root, for a server)
	@$(PYTHON) tests/shown.py --write $(PAGES)

.PHONY: shown
