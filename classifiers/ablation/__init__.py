"""The ablation of the diagnosis network: what each input channel is worth."""
