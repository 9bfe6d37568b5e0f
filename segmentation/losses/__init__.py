"""Losses of the segmentation networks, one a file, each called ``NAME_loss(logits, target)``.

Shape:
    - **logits** - (B, M, H, W), any real number; a plane is a mask of its own
    - **target** - (B, M, H, W) in {0, 1}
    - **result** - a scalar; region losses are taken per film and plane and then averaged

Half precision is widened before anything is summed. ``soft_f1`` is the exception: it judges a whole batch of
class scores (B, C).
"""
