"""AWS Identity and Access Management, as far as AWS's own tools need it around a cluster.

The one user of a state directory, and each session of his, may do everything that this endpoint
offers. So a policy that allows something is kept and shown, and changes nothing; one that would
take a right away is refused, because nothing here would hold it.
"""

from cluster_runtime.api.services.iam.policies import Policies
from cluster_runtime.api.services.iam.service import iam_operations

__all__ = ["Policies", "iam_operations"]
