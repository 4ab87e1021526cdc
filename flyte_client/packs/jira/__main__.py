import sys

from flyte_client.packs.jira.program import main

sys.exit(main())
