import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def _one_thread():
    """Arrays are tiny here: threads would only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
