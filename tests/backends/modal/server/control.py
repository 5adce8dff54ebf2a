"""What clients ask of the control plane."""
# ruff: noqa: N802 - the names are those of Modal's methods

import time

from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from modal_proto import api_pb2

from tests.backends.modal.server.calls import Calls
from tests.backends.modal.server.grpc import servicer, unary
from tests.backends.modal.server.host import Host
from tests.backends.modal.server.http import Web
from tests.backends.modal.server.state import App, Function, Result, new_id


class _ControlPlane(Calls):
    def __init__(self, host: Host, web: Web) -> None:
        super().__init__(host, web)
        self._apps: dict[str, App] = {}
        self._files: set[str] = set()
        self._mounts: dict[str, list[str]] = {}
        self._images: dict[str, api_pb2.Image] = {}
        self.QueueGetOrCreate = host.queues.QueueGetOrCreate
        self.QueueGetById = host.queues.QueueGetById
        self.QueueHeartbeat = host.queues.QueueHeartbeat
        self.QueueGet = host.queues.QueueGet
        self.QueuePut = host.queues.QueuePut

    def stop_all(self) -> None:
        for app in self._apps.values():
            self._stop(app)

    def describe(self) -> dict:
        """Return what a test may want to know."""
        functions = [f for app in self._apps.values() for f in app.functions.values()]
        return {
            "apps": [
                {"description": a.description, "stopped": a.stopped} for a in self._apps.values()
            ],
            "containers": [
                {"id": c.id, "pid": c.pid, "busy": c.input is not None, "function": c.function.id}
                for c in self.host.running.values()
            ],
            "functions": [describe(f) for f in functions],
            "mounts": self._mounts,
            "images": [list(image.dockerfile_commands) for image in self._images.values()],
        }

    def _stop(self, app: App) -> None:
        app.stopped = True
        over = Result(status=Result.GENERIC_STATUS_TERMINATED, exception="the app has stopped")
        for call in self.calls_of(app):
            for item in call.inputs.values():
                call.fail(item, over)
        for container in list(self.host.running.values()):
            if container.function.app is app:
                container.kill()

    @unary
    async def ClientHello(self, request: Empty) -> api_pb2.ClientHelloResponse:
        return api_pb2.ClientHelloResponse()

    @unary
    async def AppCreate(self, request) -> api_pb2.AppCreateResponse:
        app = App(new_id("ap"), request.description)
        self._apps[app.id] = app
        return api_pb2.AppCreateResponse(app_id=app.id)

    @unary
    async def AppHeartbeat(self, request) -> Empty:
        app = self._app(request.app_id)
        if app.stopped:
            raise GRPCError(Status.FAILED_PRECONDITION, f"app {app.id} has stopped")
        return Empty()

    @unary
    async def AppPublish(self, request) -> api_pb2.AppPublishResponse:
        self._app(request.app_id)
        return api_pb2.AppPublishResponse(deployed_at=time.time())

    @unary
    async def AppClientDisconnect(self, request) -> Empty:
        self._stop(self._app(request.app_id))
        return Empty()

    @unary
    async def EnvironmentGetOrCreate(self, request) -> api_pb2.EnvironmentGetOrCreateResponse:
        settings = api_pb2.EnvironmentSettings(image_builder_version="2025.06")
        metadata = api_pb2.EnvironmentMetadata(
            name=request.deployment_name or "main", settings=settings
        )
        return api_pb2.EnvironmentGetOrCreateResponse(environment_id="en-1", metadata=metadata)

    @unary
    async def SecretGetOrCreate(self, request) -> api_pb2.SecretGetOrCreateResponse:
        if request.deployment_name and not request.env_dict:
            raise GRPCError(Status.NOT_FOUND, f"Secret {request.deployment_name!r} not found")
        secret = new_id("st")
        self.host.secrets[secret] = dict(request.env_dict)
        return api_pb2.SecretGetOrCreateResponse(secret_id=secret)

    @unary
    async def MountBatchedCheckExistence(self, request) -> object:
        missing = [each for each in request.sha256_hex_hashes if each not in self._files]
        return api_pb2.MountBatchedCheckExistenceResponse(missing_sha256_hex_hashes=missing)

    @unary
    async def MountPutFile(self, request) -> api_pb2.MountPutFileResponse:
        if request.WhichOneof("data_oneof"):
            self._files.add(request.sha256_hex)
        return api_pb2.MountPutFileResponse(exists=request.sha256_hex in self._files)

    @unary
    async def MountGetOrCreate(self, request) -> api_pb2.MountGetOrCreateResponse:
        """Mounts by name (Modal's own, of its client) are always there."""
        if missing := [f for f in request.files if f.sha256_hex not in self._files]:
            raise GRPCError(Status.FAILED_PRECONDITION, f"{missing[0].filename} was not uploaded")
        mount = new_id("mo")
        self._mounts[mount] = [f.filename for f in request.files]
        return api_pb2.MountGetOrCreateResponse(mount_id=mount)

    @unary
    async def ImageGetOrCreate(self, request) -> api_pb2.ImageGetOrCreateResponse:
        """Every image is built already: containers see this machine's files whatever it says."""
        image = new_id("im")
        self._images[image] = request.image
        return api_pb2.ImageGetOrCreateResponse(
            image_id=image,
            result=Result(status=Result.GENERIC_STATUS_SUCCESS),
            metadata=api_pb2.ImageMetadata(image_builder_version="2025.06"),
        )

    @unary
    async def FunctionPrecreate(self, request) -> api_pb2.FunctionPrecreateResponse:
        app = self._app(request.app_id)
        function = Function(new_id("fu"), app, request.function_name)
        function.definition.function_type = request.function_type
        app.functions[function.id] = self.functions[function.id] = function
        return api_pb2.FunctionPrecreateResponse(
            function_id=function.id, handle_metadata=function.metadata
        )

    @unary
    async def FunctionCreate(self, request) -> api_pb2.FunctionCreateResponse:
        function = self.functions[request.existing_function_id]
        ranked = request.function_data.ranked_functions
        # Where several kinds of GPU would do, this machine has the first.
        function.definition = ranked[0].function if ranked else request.function
        ranked_function = api_pb2.FunctionData.RankedFunction(function=function.definition)
        return api_pb2.FunctionCreateResponse(
            function_id=function.id,
            function=function.definition,
            function_data=api_pb2.FunctionData(ranked_functions=[ranked_function]),
            handle_metadata=function.metadata,
        )

    def _app(self, app_id: str) -> App:
        try:
            return self._apps[app_id]
        except KeyError:
            raise GRPCError(Status.NOT_FOUND, f"there is no app {app_id}") from None


def describe(function: Function) -> dict:
    """Return how a function was declared, without the values of its secrets."""
    told = function.definition
    return {
        "id": function.id,
        "app": function.app.id,
        "milli_cpu": told.resources.milli_cpu,
        "memory_mb": told.resources.memory_mb,
        "memory_mb_max": told.resources.memory_mb_max,
        "gpu": told.resources.gpu_config.gpu_type,
        "gpus": told.resources.gpu_config.count,
        "retries": told.retry_policy.retries,
        "timeout": told.timeout_secs,
        "max_containers": told.autoscaler_settings.max_containers,
        "scaledown_window": told.autoscaler_settings.scaledown_window,
        "regions": list(told.scheduler_placement.regions),
        "secrets": len(told.secret_ids),
        "mounts": list(told.mount_ids),
        "serialized": told.definition_type == told.DEFINITION_TYPE_SERIALIZED,
        "output_formats": list(told.supported_output_formats),
    }


ControlPlane = servicer(_ControlPlane)
