"""The "Test connector" button: reads one device or event through the connector's own client, and says what it found."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any, ClassVar

from sekoia_automation.account_validator import AccountValidator
from typing_extensions import override

from shared.http.session import Patience
from shared.masking import shown
from shared.runtime.platform import platform_session
from shared.runtime.settings import readable_error

PATIENCE = Patience(connect=5.0, read=10.0, attempts=2, budget=4.0, first_wait=0.5)


class ConnectionTest(AccountValidator):
    """Base of the validators. It proves the URL, the credential, its rights and that the reply is read."""

    connector: ClassVar[Any]  # a class: `connect` makes a client, `first_page` reads with it
    deadline: ClassVar[float] = 15.0  # seconds: a person waits for the answer, 20 at most, and the process starts first

    @override
    def validate(self) -> bool:
        """Whether a row (or an empty list of them) could be read. If not, `error` says why and what to do."""
        answer: Future[None] = Future()
        stop = Event()
        Thread(target=self._answer, args=(answer, stop), daemon=True).start()
        try:
            answer.result(timeout=self.deadline)
        except TimeoutError:
            stop.set()
            check = "Check the configured URL and its port, the network and the proxy."
            self.error(f"No answer within {self.deadline:.0f} s. {check}")
        except Exception as error:  # noqa: BLE001 - the person in front of the button gets an answer in any case
            self._explain(error)
        return self._error is None

    def _explain(self, error: Exception) -> None:
        failure = readable_error(error)
        if failure is None:
            self.log_exception(error, message="The account could not be validated")
        self.error(str(failure) if failure else "Internal error. Report it with the log of this module.")

    @override
    def error(self, message: str) -> None:
        super().error(shown(message))

    def _answer(self, answer: Future[None], stop: Event) -> None:
        try:
            client = self.connector.connect(self.module.configuration, stop=stop, patience=PATIENCE, page_size=1)
            self.connector.first_page(client)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for it
            answer.set_exception(error)
        else:
            answer.set_result(None)

    @override
    def _send_request(self, data: dict[str, Any], verb: str = "POST", attempt: int = 1) -> Any:
        """As the SDK does, but it is not retried for minutes; → an object with the reply's `json()`."""
        session = platform_session(self, self.callback_url, PATIENCE)
        body = session.call(verb, session.base_url, json=data).json
        return SimpleNamespace(json=lambda: body)

    @override
    def execute(self) -> None:
        """As the SDK does, but whatever fails on the way is reported as a failed test instead of no answer at all."""
        success = False
        try:
            self.set_task_as_running()
            success = self.validate()
        except Exception as error:  # noqa: BLE001 - as in `validate`; secrets that the platform hands out may be wrong
            self._explain(error)
        self.send_results(success)
