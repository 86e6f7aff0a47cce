"""The docstring of a function says in plain English what the function does: it starts with a verb."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import ipclab

PACKAGE = Path(ipclab.__file__).parent
CHECKOUT = Path(__file__).parents[2]
TREES = (PACKAGE, *(CHECKOUT / name for name in ("experiments", "benchmarks", "docs", "tests/support")))
WORDS = """
Accept Account Acknowledge Add Adjust Allow Append Apply Arrive Ask Assert Await Be Begin Block Bring Build
Call Cancel Capture Carry Catch Change Check Choose Clean Clear Close Collect Compare Compute Connect
Continue Convert Copy Count Create Declare Decode Define Delay Delete Deliver Derive Describe Disconnect
Divide Do Drain Draw Drop Empty Encode End Ensure Enter Escape Estimate Evict Examine Execute Expect Explain
Export Extend Fail Feed Fetch Fill Filter Find Finish Fit Flush Follow Force Forget Fork Format Forward
Freeze Gather Get Give Group Guard Hand Handle Heal Hold Identify Ignore Import Include Increment Inject
Insert Install Invoke Iterate Join Judge Keep Kill Launch Leave Let Limit Link List Listen Load Locate Lock
Log Look Lower Make Map Mark Mask Match Measure Meet Merge Modify Mount Move Name Note Observe Obtain Open
Order Own Pad Parse Pass Pause Pick Pin Play Poll Prepare Print Probe Produce Provide Publish Push Put Query
Race Raise Rank Reach Read Reap Rebuild Receive Reconnect Record Redirect Reduce Refer Refuse Register
Reject Release Reload Remember Remove Rename Render Repeat Replace Report Request Require Reset Resolve
Restore Resume Retry Return Reuse Round Run Save Scale Schedule Search See Select Send Separate Serve Set
Settle Shorten Show Shut Signal Skip Sleep Sort Spawn Split Squeeze Start State Stay Step Stop Store Strike
Submit Sum Summarise Swallow Switch Take Tear Tell Terminate Test Time Translate Trim Try Turn Undo Unmap
Unpack Update Use Validate Verify Wait Walk Warn Watch Weigh Work Wrap Write Yield
"""
VERBS = frozenset(WORDS.split())
"""The verbs that docstrings may start with, in the imperative. Another plain verb is welcome: add it here."""
VERB_AND_NOUN = frozenset({"check", "digest", "drain", "install", "keep", "run", "search", "shrink"})
"""Functions with the name of their module, which is a verb; commands of ``cli`` have their own names."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(node: ast.AST) -> Iterator[Function]:
    for child in ast.walk(node):
        if isinstance(child, Function):
            yield child


def without_a_verb(source: str) -> list[str]:
    """Return the first line of each function's docstring that does not start with a known verb."""
    found = []
    for function in functions(ast.parse(source)):
        text = ast.get_docstring(function)
        if text is not None and text.split()[0].rstrip(",.:;") not in VERBS:
            found.append(f"{function.name} (line {function.lineno}): {text.splitlines()[0]}")
    return found


def test_a_docstring_without_a_verb_is_found() -> None:
    source = '''
def size():
    """The size in bytes."""
class Queue:
    async def get(self):
        """Gets the next one."""
    def put(self):
        """Put one."""
    def peek(self): ...
'''
    assert without_a_verb(source) == [
        "size (line 2): The size in bytes.",
        "get (line 5): Gets the next one.",
    ]


def test_every_docstring_of_a_function_starts_with_a_verb() -> None:
    found = {
        str(path.relative_to(tree.parent)): lines
        for tree in TREES
        for path in sorted(tree.rglob("*.py"))
        if (lines := without_a_verb(path.read_text()))
    }
    assert not found


def test_no_function_has_the_noun_that_its_module_is_named_after() -> None:
    """A function does something, so ``table.make`` is plain and ``table.table`` is not."""
    twins = {
        f"{path.parent.name}.{path.stem}.{node.name}"
        for path in PACKAGE.rglob("*.py")
        if path.parent.name != "cli"
        for node in ast.parse(path.read_text()).body
        if isinstance(node, Function) and node.name == path.stem and node.name not in VERB_AND_NOUN
    }
    assert not twins
