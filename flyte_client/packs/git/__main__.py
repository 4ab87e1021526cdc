import sys

from flyte_client.packs.git.program import main

sys.exit(main())
