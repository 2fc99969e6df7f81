# SPDX-License-Identifier: GPL-2.0-only
#
# All that the module's CMake files must know of the differences between versions of ns-3; for those of its
# API see model/ns3-versions.h.

# qemu_example(NAME [MODULE...]): a program of examples/, which needs these modules besides those that the
# module itself needs. It is left out where one of them is.
if(COMMAND build_lib_example)
  # In a tree. (Up to 3.35 trees have no CMake: see wscript.)
  function(qemu_example name)
    set(libraries ${libqemu})
    foreach(module ${ARGN})
      if(NOT module IN_LIST ns3-all-enabled-modules)
        return()
      endif()
      list(APPEND libraries ${lib${module}})
    endforeach()
    build_lib_example(NAME qemu-${name} SOURCE_FILES ${name}.cc LIBRARIES_TO_LINK ${libraries})
  endfunction()
  return()
endif()

# --- Against an installed ns-3 ------------------------------------------------------------------------

# Headers want the C++ that their ns-3 was built as.
if(ns3_VERSION VERSION_GREATER_EQUAL 3.46)
  set(CMAKE_CXX_STANDARD 23)
elseif(ns3_VERSION VERSION_GREATER_EQUAL 3.41)
  set(CMAKE_CXX_STANDARD 20)
else()
  set(CMAKE_CXX_STANDARD 17)
endif()
set(CMAKE_CXX_STANDARD_REQUIRED ON)

# qemu_ns3(VARIABLE MODULE...): the libraries of ns-3's modules.
function(qemu_ns3 variable)
  set(targets)
  foreach(module ${ARGN})
    if(TARGET ns3::lib${module}) # up to 3.42
      list(APPEND targets ns3::lib${module})
    else() # since 3.43
      list(APPEND targets ns3::${module})
    endif()
  endforeach()
  set(${variable} ${targets} PARENT_SCOPE)
endfunction()

# Targets also name third parties' libraries, by paths that need development packages (Debian's of 3.37: GSL, libxml2
# and others, which libns3-dev does not depend on). A user of the targets needs none of them.
get_property(imported DIRECTORY PROPERTY IMPORTED_TARGETS)
foreach(target IN LISTS imported)
  get_target_property(needed ${target} INTERFACE_LINK_LIBRARIES)
  if(target MATCHES "^ns3::" AND needed)
    list(FILTER needed INCLUDE REGEX "^ns3::")
    set_target_properties(${target} PROPERTIES INTERFACE_LINK_LIBRARIES "${needed}")
  endif()
endforeach()

# As ns-3 itself: what a virtual method is given need not be used. Its addresses have a copy constructor and,
# up to 3.45, no assignment.
set(QEMU_WARNINGS -Wall -Wextra -Wno-unused-parameter -Wno-deprecated-copy)
