import sys

from flyte_client.packs.ldap.program import main

sys.exit(main())
