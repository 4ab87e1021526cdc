import sys

from flyte_client.packs.console.program import main

sys.exit(main())
