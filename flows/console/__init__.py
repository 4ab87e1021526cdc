"""The console's pages of flows, one module a page; `flows.admin` says at which paths they are."""
