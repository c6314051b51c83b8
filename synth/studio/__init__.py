"""The studio: a page on this machine, in which a photo follows a dot on the circumplex.

==============  ==============================================================
``serve``       starts and ends it
``server``      the routes
``guard``       who may ask, how much, and the headers of every answer
``photos``      photos in memory, and their small previews
``wishes``      what the page asks for, checked: targets and tracks
``strokes``     a line drawn by hand becomes waypoints
``exports``     full-size pictures and videos, made one job after the other
``commands``    the command line that repeats what is shown
``static/``     the page: plain HTML, CSS and JavaScript, nothing from elsewhere
==============  ==============================================================
"""
