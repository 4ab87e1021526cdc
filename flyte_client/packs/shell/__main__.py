import sys

from flyte_client.packs.shell.program import main

sys.exit(main())
