import sys

from flyte_client.cli.flyte_pack import main

sys.exit(main())
