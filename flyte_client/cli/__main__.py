import sys

from flyte_client.cli.flyte import main

sys.exit(main())
