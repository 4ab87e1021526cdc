import sys

from flyte_client.packs.bamboo.program import main

sys.exit(main())
