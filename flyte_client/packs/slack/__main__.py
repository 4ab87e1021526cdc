import sys

from flyte_client.packs.slack.program import main

sys.exit(main())
