"""The console: Django's admin site in this project's clothes, and what its pages share."""
