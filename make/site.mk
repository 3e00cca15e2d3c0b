# The documentation as a site that needs no network.
site: venv ## the documentation as a site with search, in build/site; ends with an error where a link leads nowhere
	@NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --clean --config-file packaging/site/mkdocs.yml
	@echo 'build/site/index.html; with search: python3 -m http.server -d build/site'

.PHONY: site

pictures: venv ## the pictures of docs/pictures anew, by Chromium, from the honeypot's week
	@command -v chromium >/dev/null || $(MAKE) --no-print-directory deps APT_PACKAGES=chromium
	@$(PYTHON) packaging/site/pictures.py

.PHONY: pictures

tour: venv ## what the commands of docs/tour.md print, put into the page anew
	@$(PYTHON) tests/tour.py --write

.PHONY: tour
