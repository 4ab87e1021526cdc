"""The console: Django's admin site with the pages and the design of this project."""
