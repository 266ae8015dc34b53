"""A host in the background: `python -m cluster_runtime.host DIRECTORY`.

Started by whoever attaches where nobody hosts (`cluster_runtime.host.starting`).
"""

import sys

from cluster_runtime.host.background import main

sys.exit(main(sys.argv[1:]))
