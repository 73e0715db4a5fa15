help:
	@echo check
