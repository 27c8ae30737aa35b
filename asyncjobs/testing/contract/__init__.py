"""The contract of a storage adapter, as tests that its author runs.

Provide the fixture ``storage``, an adapter that is opened, migrated and empty, and have the
tests run on asyncio, here by anyio's pytest plugin::

    pytestmark = pytest.mark.anyio

    class TestMyAdapter(StorageContract):
        @pytest.fixture
        async def storage(self) -> AsyncIterator[Storage]:
            adapter = MyAdapter()
            await adapter.open()
            yield adapter
            await adapter.close()

``pytest.register_assert_rewrite("asyncjobs.testing.contract")`` in a conftest.py makes
failures show the values. Nothing here waits for a fixed time: a test that needs time to pass
asks again until it has.
"""

from asyncjobs.testing.contract.cancelling import Cancelling
from asyncjobs.testing.contract.claiming import Claiming
from asyncjobs.testing.contract.controlling import Controlling
from asyncjobs.testing.contract.counting import Counting
from asyncjobs.testing.contract.declaring import Declaring
from asyncjobs.testing.contract.editing import Editing
from asyncjobs.testing.contract.enqueueing import Enqueueing
from asyncjobs.testing.contract.finding import Finding
from asyncjobs.testing.contract.finishing import Finishing
from asyncjobs.testing.contract.firing import Firing
from asyncjobs.testing.contract.hearing import HearingOfLanes
from asyncjobs.testing.contract.limiting import Limiting
from asyncjobs.testing.contract.listening import Listening
from asyncjobs.testing.contract.looking import Looking
from asyncjobs.testing.contract.maintaining import Maintaining
from asyncjobs.testing.contract.pausing import Pausing
from asyncjobs.testing.contract.postponing import Postponing
from asyncjobs.testing.contract.promoting import Promoting
from asyncjobs.testing.contract.rating import Rating
from asyncjobs.testing.contract.recurring import Recurring
from asyncjobs.testing.contract.rescuing import Rescuing
from asyncjobs.testing.contract.surveying import Surveying
from asyncjobs.testing.contract.transactions import Transactions
from asyncjobs.testing.contract.uniqueness import Uniqueness
from asyncjobs.testing.contract.watching import Telling, Watching
from asyncjobs.testing.contract.wishing import HearingOfWishes, Wishing
from asyncjobs.testing.contract.workers import Workers


class QuietStorageContract(
    Enqueueing,
    Uniqueness,
    Claiming,
    Finishing,
    Promoting,
    Postponing,
    Cancelling,
    Finding,
    Controlling,
    Editing,
    Workers,
    Rescuing,
    Counting,
    Watching,
    Limiting,
    Rating,
    Pausing,
    Firing,
    Recurring,
    Declaring,
    Looking,
    Maintaining,
    Surveying,
    Wishing,
):
    """The contract of an adapter whose `listen` tells nothing, so that workers poll."""


class StorageContract(QuietStorageContract, Listening, Telling, HearingOfLanes, HearingOfWishes):
    """What every storage promises by `asyncjobs.storage.protocol.Storage`. See the module."""


class TransactionContract(Transactions):
    """What a storage promises that has transactions; in addition to the other one."""
