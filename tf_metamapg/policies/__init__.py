"""Policies: Keras models behind the functional interface of `contracts.Policy`.

`contracts.StepPolicy` says what a policy has that acts step by step, `contracts.ExactPolicy` what one has that exact
values are computed of, and `contracts.ExportablePolicy` one that can be saved. Parameters always come from outside: a
model's own variables are never read or assigned, so that a gradient can flow through parameters that an inner update
has computed.
"""
