"""``bodycomp reference``: what values are compared with, and curves of a group's own."""

from __future__ import annotations

from dataclasses import dataclass

from bodycomp.cli.option_parser import Command, CommandGroup
from bodycomp.reference.options import FitOptions

FIT_DESCRIPTION = """\
Fit curves of percentiles over age to a group of your own, for women and men apart, and write them
as a reference that 'bodycomp analyze --reference FILE' compares with, beside the published ones.

COHORT.csv is results.csv or reviewed.csv of a run, or a table with the same columns. Of each study
(or patient_id) the first row of a level counts. Curves are LMS, by natural splines whose number of
knots the data decide, with 95 % confidence intervals of the 5th, 50th and 95th percentile; they
reach from the tenth youngest to the tenth oldest person. docs/reference-values.md says more.

Whoever is in the table is the reference: look at the cases, and leave out whom you do not want."""

FIT_EPILOG = """\
example:
  bodycomp reference fit measured/reviewed.csv --by sex age --out ours.json \\
      --population 'trauma patients of one hospital, 2019 to 2024'
  bodycomp analyze scans --out next --reference ours.json"""


@dataclass(frozen=True)
class ListOptions:
    """There is nothing to say."""


def fit(options: FitOptions) -> int:
    """Fit, and say which curves there are and what was left out."""
    from bodycomp.cli.terminal import say
    from bodycomp.interface.runs import fit_reference

    found = fit_reference.run(options)
    for each in found.table.strata:
        who = {"F": "women", "M": "men"}.get(each.sex, "people")
        ages = (
            "" if each.age_from is None else f", {each.age_from:g} to {each.age_below or 0:g} years"
        )
        say(f"{each.quantity} at {each.level}: {each.n} {who}{ages}")
    said = [*(f"no curve: {words}" for words in found.left_out), *found.notes]
    say(*said, f"reference {found.table.key} in {options.out}")
    return 0


def list_references(_: ListOptions) -> int:
    """Print the references that ship."""
    from bodycomp.cli.terminal import say
    from bodycomp.reference.table import shipped_references

    for table in shipped_references():
        levels = ", ".join(dict.fromkeys(each.level for each in table.strata))
        say(
            f"{table.key}: {table.population}; {table.ages}; {', '.join(table.quantities)} at "
            f"{levels}; {table.source}, {table.table}"
        )
    return 0


COMMAND = CommandGroup(
    commands={
        "fit": (
            "make curves of a group of your own",
            Command(options=(FitOptions,), run=fit, description=FIT_DESCRIPTION, epilog=FIT_EPILOG),
        ),
        "list": (
            "list the published references that ship",
            Command(
                options=(ListOptions,),
                run=list_references,
                description="List the published references that ship: whose values they are.",
            ),
        ),
    },
    title="actions",
    metavar="ACTION",
)
