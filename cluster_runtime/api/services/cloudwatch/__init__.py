"""Amazon CloudWatch, as far as it reads metrics: those of the clusters here, and no others."""

from cluster_runtime.api.services.cloudwatch.operations import cloudwatch_operations
from cluster_runtime.api.services.cloudwatch.service import cloudwatch_services

__all__ = ["cloudwatch_operations", "cloudwatch_services"]
