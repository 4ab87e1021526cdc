import sys

from flyte_client.packs.email.program import main

sys.exit(main())
