import sys

from flyte_client.cli.program import main

sys.exit(main())
