"""Modal: containers of an app of our own, which ends with the backend."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from asyncexec.backends.adapters.calls import CallsBackend
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.extras import need
from asyncexec.backends.modal_app.settings import NAME, checked
from asyncexec.backends.modal_app.system import ModalApp
from asyncexec.backends.options import whole_number


class ModalBackend(CallsBackend):
    """Run tasks in containers on Modal.

    Entering starts an ephemeral app with one function, leaving stops it. A batch is one call of that function, and
    cancelling a task that runs ends its container. The credentials are those of Modal's own configuration.

    Parameters
    ----------
    max_workers : int
        Containers at once.
    app_name : str
        What the app is called at Modal.
    environment_name : str, optional
        Modal's environment to run in.
    image : modal.Image, optional
        What containers have installed: Python of the driver's minor version, and asyncexec. By default, Debian with
        what asyncexec needs, in the driver's versions, and the driver's own asyncexec.
    pip : list of str, optional
        Requirements to install into the image.
    py_modules : list of str, optional
        Packages of the driver's to put into the image, by import name.
    env_vars : mapping of str to str, optional
        Environment variables of the tasks.
    secrets : list of str or modal.Secret, optional
        Secrets that tasks find in their environment, by name or as they are.
    cpus : float, optional
        Cores of a container.
    memory : int or str, optional
        Memory that a container has at least (``"2GB"``, bytes).
    gpu : str or list of str, optional
        Kind of GPU, as Modal writes it (``"A100"``, ``"H100:2"``); of several kinds, any will do.
    gpus : int, optional
        How many GPUs a container has.
    region : str or list of str, optional
        Where containers run.
    cloud : str, optional
        Whose they are: ``"aws"``, ``"gcp"``, ``"oci"``.
    volumes : mapping of str to modal.Volume, optional
        What is mounted where.
    nonpreemptible : bool
        Whether containers are not taken away for others, which costs more.
    scaledown_window : int, optional
        Seconds that a container may be idle.
    timeout : float, optional
        Seconds that one task may run; the engine ends it then.
    batch_limit : int
        How many tasks may go into one call.
    client : modal.Client, optional
        A connection to use, which stays the caller's.

    Raises
    ------
    OptionError
        If an option is not what it should be.
    MissingExtraError
        If modal is not installed.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name=NAME,
        kills=True,
        isolated=True,
        metered=True,
        batch_limit=1000,
        loss_seconds=60.0,
        native_retry="none of generator functions, as this is one; but Modal runs a call again whose "
        "container it took away for others (nonpreemptible prevents that)",
        call_seconds=0.1,
    )

    def __init__(
        self,
        *,
        max_workers: int = 100,
        app_name: str = "asyncexec",
        environment_name: str | None = None,
        image: Any = None,
        pip: Sequence[str] | None = None,
        py_modules: Sequence[str] | None = None,
        env_vars: Mapping[str, str] | None = None,
        secrets: Sequence[Any] | None = None,
        cpus: float | None = None,
        memory: int | str | None = None,
        gpu: str | Sequence[str] | None = None,
        gpus: int | None = None,
        region: str | Sequence[str] | None = None,
        cloud: str | None = None,
        volumes: Mapping[str, Any] | None = None,
        nonpreemptible: bool = False,
        scaledown_window: int | None = None,
        timeout: float | None = None,
        batch_limit: int = 1000,
        client: Any = None,
    ) -> None:
        need(NAME, "modal")
        limit = whole_number(batch_limit, executor=NAME, option="batch_limit")
        settings = checked(
            limit,
            max_workers=max_workers,
            app_name=app_name,
            environment_name=environment_name,
            image=image,
            pip=pip,
            py_modules=py_modules,
            env_vars=env_vars,
            secrets=secrets,
            cpus=cpus,
            memory=memory,
            gpu=gpu,
            gpus=gpus,
            region=region,
            cloud=cloud,
            volumes=volumes,
            nonpreemptible=nonpreemptible,
            scaledown_window=scaledown_window,
            timeout=timeout,
            client=client,
        )
        capabilities = dataclasses.replace(
            self.features, batch_limit=limit, worker_bytes=settings.worker_bytes
        )
        super().__init__(ModalApp(settings, capabilities))
