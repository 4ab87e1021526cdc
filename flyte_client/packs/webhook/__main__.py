import sys

from flyte_client.packs.webhook.program import main

sys.exit(main())
