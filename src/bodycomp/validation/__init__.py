"""What is wrong with a training set: one pass over its files, and rules on what was seen.

``validate`` is the entry point for both kinds of sets; ``segmentation`` and ``slices`` run the pass
and the rules of each kind; ``check_*`` hold the rules; ``*_facts`` and ``details`` what rules see.
Nothing here imports torch.
"""
