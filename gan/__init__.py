"""The bone network: one film in; bone-subtracted and bone-suppressed image out.

=================  ==================================================================================
networks           ``generator``, ``discriminator`` (MCA-Net), ``attention`` (SAGAN), ``baselines`` (pix2pix's
                   U-Net, ResNet-34 U-Net); ``networks`` builds them by name
films              ``pairs`` (film, layer, lungs), ``motion`` and ``usable`` (what is left out), ``parts``
                   (training, validation, test), ``variation`` with ``drawn_breaks`` and ``drawn_tissue``
                   (augmentation)
training           ``recipe`` (settings), ``losses``, ``progression`` (growing scale), ``training`` (the task)
inference          ``suppression`` (film to layer), ``residual`` and ``doubts`` (warnings), ``stage``
measurement        ``scores`` (images), ``breaks`` (fractures), ``hardware`` (dual energy), ``perceptual``
                   (LPIPS); ``evaluation`` puts them together with ``prediction``, ``rivals`` (competitors)
                   and ``published`` figures; ``pictures`` and ``contact`` draw
=================  ==================================================================================

Images are (H, W) float32 in [0, 1], bone bright; layers are what bone adds, on the same scale, so that
film = soft tissue + layer. Tensors are (B, 1, H, W). ``stage`` needs neither ``training`` nor data sets.
"""
