"""ngp-image: Instant-NGP's gigapixel task, a hash field of one picture (Mueller et al. 2022, section 5.1)."""

from .method import NgpImageMethod

__all__ = ["NgpImageMethod"]
