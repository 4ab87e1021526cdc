import sys

from flyte_client.command import main

sys.exit(main())
