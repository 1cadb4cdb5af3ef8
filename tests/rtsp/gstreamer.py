"""GStreamer's RTSP server and client as peers.

gstreamer.py camera [digest|basic]   a camera at /cam; says "port N"
gstreamer.py sink [sound]            takes a publisher at /out; says "port N", then "pictures N"
gstreamer.py read URL                reads a stream; says "pictures N"
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

Gst.init(None)
loop = GLib.MainLoop()
enough = 10


def say(*words):
    print(*words, flush=True)


def count(element, what="pictures"):
    seen = [0]

    def on_buffer(_pad, _info):
        seen[0] += 1
        if seen[0] == enough:
            say(what, seen[0])
        return Gst.PadProbeReturn.OK

    element.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, on_buffer)


def serve(path, factory, auth=None):
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    if auth is not None:
        server.set_auth(auth)
    server.get_mount_points().add_factory(path, factory)
    server.attach(None)
    say("port", server.get_bound_port())
    loop.run()


def camera(method):
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        "( videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=15/1"
        " ! x264enc tune=zerolatency key-int-max=15 ! rtph264pay name=pay0 pt=96 config-interval=1"
        " audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! mulawenc"
        " ! rtppcmupay name=pay1 )"
    )
    factory.set_shared(True)
    auth = None
    if method is not None:
        auth = GstRtspServer.RTSPAuth()
        auth.set_realm("GStreamer, cam")
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "user")
        if method == "digest":
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest("admin", "secret", token)
        else:
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic("admin", "secret"), token)
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("user", "media.factory.access", True)
        permissions.add_permission_for_role("user", "media.factory.construct", True)
        factory.set_permissions(permissions)
    serve("/cam", factory, auth)


def sink(with_sound):
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
    picture = "rtph264depay name=depay0 ! avdec_h264 ! fakesink name=end sync=false"
    sound = "rtppcmudepay name=depay1 ! mulawdec ! fakesink name=heard sync=false"
    factory.set_launch(f"( {picture} {sound} )" if with_sound else f"( {picture} )")

    def configure(_factory, media):
        count(media.get_element().get_by_name("end"))
        if with_sound:
            count(media.get_element().get_by_name("heard"), "sounds")

    factory.connect("media-configure", configure)
    serve("/out", factory)


def read(url):
    pipeline = Gst.parse_launch(
        f'rtspsrc location="{url}" protocols=tcp latency=0 ! rtph264depay ! avdec_h264'
        " ! fakesink name=end sync=false"
    )
    count(pipeline.get_by_name("end"))
    bus = pipeline.get_bus()
    bus.add_signal_watch()
    bus.connect("message::error", lambda _, message: (say("error", message.parse_error()), loop.quit()))
    pipeline.set_state(Gst.State.PLAYING)
    loop.run()


command = sys.argv[1]
if command == "camera":
    camera(sys.argv[2] if len(sys.argv) > 2 else None)
elif command == "sink":
    sink(len(sys.argv) > 2)
else:
    read(sys.argv[2])
