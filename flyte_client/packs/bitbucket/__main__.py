import sys

from flyte_client.packs.bitbucket.program import main

sys.exit(main())
