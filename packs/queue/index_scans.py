"""Loose index scans of the queue's index, which has only queued actions: by pack name, then by labels key.

Their cost depends on the number of different names and labels, not on the number of queued actions.
"""

from flyte_site.db.loose_index_scan import LooseIndexScan

QUEUED_NAMES = LooseIndexScan("packs_action", ("pack_name",), ("labels_key", "ready_at"), where="is_queued")
QUEUED_KEYS = LooseIndexScan("packs_action", ("pack_name", "labels_key"), ("ready_at",), where="is_queued")
