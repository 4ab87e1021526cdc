import sys

from flyte_client.packs.timer.program import main

sys.exit(main())
