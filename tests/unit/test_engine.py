"""DataJoint without pandas, until a data frame is made."""

import subprocess
import sys

import pytest

ASKED = """
import sys
import schemas.engine
assert "pandas" not in sys.modules and "pyarrow" not in sys.modules
from datajoint import condition, expression, table
assert not any(isinstance([{"a": 1}], module.pandas.DataFrame) for module in (condition, expression, table))
import deepdiff
assert deepdiff.DeepHash([1, "a"])[1] != deepdiff.DeepHash([2, "a"])[2]
assert "pandas" not in sys.modules
"""

MADE = """
frame = expression.pandas.DataFrame([{"a": 1}])
import pandas
assert type(frame) is pandas.DataFrame and frame["a"].tolist() == [1]
assert all(isinstance(frame, module.pandas.DataFrame) for module in (condition, expression, table))
assert not isinstance([], expression.pandas.DataFrame)
assert expression.pandas.isna is pandas.isna
"""

LOADED_BEFORE = """
import pandas
import schemas.engine
from datajoint import expression
assert expression.pandas is pandas
"""

BESIDE_ANOTHER_THREAD = """
import threading
end = threading.Event()
threading.Thread(target=end.wait).start()
try:
    import schemas.engine
    import pandas
    from datajoint import expression
    assert expression.pandas is pandas
finally:
    end.set()
"""


@pytest.mark.parametrize("program", [ASKED, ASKED + MADE, LOADED_BEFORE, BESIDE_ANOTHER_THREAD])
def test_pandas_is_loaded_once_a_data_frame_is_made(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
